package cluster

import (
	"bytes"
	"context"
	"net"
	"testing"

	"github.com/hashicorp/raft"
)

// canned answers calls as a leader would that has nothing to do for it.
type canned struct{ result []byte }

func (c *canned) ReadIndex(call readIndexCall, reply *readIndexReply) error {
	reply.Index = 1_234_567
	return nil
}

func (c *canned) Propose(call proposeCall, reply *proposeReply) error {
	reply.Outcomes = make([]forwarded, len(call.Commands))
	for i := range reply.Outcomes {
		reply.Outcomes[i].Result = c.result
	}
	return nil
}

// serveCanned serves calls on a port of the loopback interface and returns who calls there.
func serveCanned(b *testing.B) (c *caller, address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	canned := &canned{bytes.Repeat([]byte("r"), 600)}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveCalls(conn, canned.handle)
		}
	}()
	var d net.Dialer
	c = newCaller(func(ctx context.Context, address string) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) })
	b.Cleanup(func() {
		c.close()
		l.Close()
	})
	return c, l.Addr().String()
}

// BenchmarkCalls calls one node from another: both ends are in its figures.
func BenchmarkCalls(b *testing.B) {
	c, address := serveCanned(b)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	readIndex := readIndexCall{From: raft.ServerID("n2.0123456789abcdef"), Term: 17}
	propose := proposeCall{To: "n1.0123456789abcdef", From: "n2"}
	for range 16 {
		propose.Commands = append(propose.Commands, bytes.Repeat([]byte("c"), 150))
		propose.Reach = append(propose.Reach, 3)
		propose.Requests = append(propose.Requests, "01J0ZZZZZZZZZZZZZZZZZZZZZZ")
	}
	one := map[string]func() error{
		"ReadIndex": func() error {
			_, err := call[readIndexReply](ctx, c, address, methodReadIndex, readIndex)
			return err
		},
		"Propose16": func() error {
			_, err := call[proposeReply](ctx, c, address, methodPropose, propose)
			return err
		},
	}
	for _, name := range []string{"ReadIndex", "Propose16"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := one[name](); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := one[name](); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func (c *canned) handle(m method, request []byte) (any, error) {
	if m == methodPropose {
		return handle(request, c.Propose)
	}
	return handle(request, c.ReadIndex)
}
