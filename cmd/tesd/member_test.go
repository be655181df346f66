package main

import "testing"

func TestReachable(t *testing.T) {
	for _, c := range []struct{ address, raft, want string }{
		{"127.0.0.1:8001", "127.0.0.1:9001", "127.0.0.1:8001"},
		{"0.0.0.0:8001", "10.0.0.1:9001", "10.0.0.1:8001"},
		{"[::]:8001", "[2001:db8::1]:9001", "[2001:db8::1]:8001"},
		{":8001", "n1.example:9001", "n1.example:8001"},
		{"n1.example:8001", "10.0.0.1:9001", "n1.example:8001"},
	} {
		if got := reachable(c.address, c.raft); got != c.want {
			t.Errorf("HTTP at %s, raft at %s: told %s, want %s", c.address, c.raft, got, c.want)
		}
	}
}
