package loopback_test

import (
	"net"
	"testing"

	"github.com/tesd/tesd/internal/loopback"
)

// TestClaim claims a tenth of all ports: without marks, hundreds would be handed out twice.
func TestClaim(t *testing.T) {
	seen := map[string]bool{}
	for range 22 {
		p, err := loopback.Claim(100)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Release()
		for _, a := range p.Addresses {
			if seen[a] {
				t.Errorf("%s was handed out twice", a)
			}
			seen[a] = true
		}
		l, err := net.Listen("tcp", p.Addresses[0])
		if err != nil {
			t.Fatalf("a process could not listen on its port: %v", err)
		}
		l.Close()
	}
}
