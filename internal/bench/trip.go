package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/tesd/tesd/internal/lan"
)

// measureTrip measures how long a byte takes from one machine to another and back, at the median.
func measureTrip(ctx context.Context, from, to *lan.Machine) (time.Duration, error) {
	const times = 25
	var listener net.Listener
	err := to.Do(func() (err error) {
		listener, err = net.Listen("tcp", netip.AddrPortFrom(to.Address, 0).String())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("measuring the round trip: %w", err)
	}
	var echo sync.WaitGroup
	defer echo.Wait()
	defer listener.Close()
	echo.Go(func() {
		if conn, err := listener.Accept(); err == nil {
			_, _ = io.Copy(conn, conn)
			conn.Close()
		}
	})
	conn, err := from.Dial(ctx, "tcp", listener.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("measuring the round trip: %w", err)
	}
	defer conn.Close()
	took := make([]int64, 0, times)
	for i := range uint64(times) {
		sent := time.Now()
		if err := errors.Join(conn.SetDeadline(sent.Add(10*time.Second)), binary.Write(conn, binary.BigEndian, i), discard(conn, 8)); err != nil {
			return 0, fmt.Errorf("measuring the round trip: %w", err)
		}
		took = append(took, int64(time.Since(sent)))
	}
	slices.Sort(took)
	return time.Duration(percentile(took, 50)), nil
}

// discard reads so many bytes.
func discard(r io.Reader, n int64) error {
	_, err := io.CopyN(io.Discard, r, n)
	return err
}
