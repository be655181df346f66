package main

import (
	"context"
	"errors"
	"net/netip"
	"testing"
)

func TestLoopbackAddresses(t *testing.T) {
	names := map[string][]netip.Addr{
		"localhost": {netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")},
		"both":      {netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.1")},
		"public":    {netip.MustParseAddr("192.0.2.1")},
		"nothing":   {},
	}
	find := func(_ context.Context, host string) ([]netip.Addr, error) {
		if found, ok := names[host]; ok {
			return found, nil
		}
		return nil, errors.New("no such host")
	}
	for _, c := range []struct {
		address string
		local   bool
		fails   bool
	}{
		{address: "127.0.0.1:8001", local: true},
		{address: "127.8.8.8:0", local: true},
		{address: "[::1]:8001", local: true},
		{address: "[::ffff:127.0.0.1]:8001", local: true},
		{address: "localhost:8001", local: true},
		{address: "both:8001"},
		{address: "public:8001"},
		{address: "nothing:8001"},
		{address: ":8001"},
		{address: "0.0.0.0:8001"},
		{address: "[::]:8001"},
		{address: "[::ffff:192.0.2.1]:8001"},
		{address: "192.0.2.1:8001"},
		{address: "unknown:8001", fails: true},
		{address: "127.0.0.1", fails: true},
		{address: "127.0.0.1:http", fails: true},
		{address: "127.0.0.1:65536", fails: true},
		{address: "::1:8001", fails: true},
		{address: "", fails: true},
	} {
		local, err := isLoopback(t.Context(), c.address, find)
		if local != c.local || (err != nil) != c.fails {
			t.Errorf("%q: local %v, error %v; want local %v, an error %v", c.address, local, err, c.local, c.fails)
		}
	}
}

// TestSigningKeyIsTakenAsItIs: neither decoded nor trimmed, and empty counts as unset.
func TestSigningKeyIsTakenAsItIs(t *testing.T) {
	for _, c := range []struct{ name, key, want string }{
		{"none", "", ""},
		{"spaces", " key\n", " key\n"},
		{"hex", "00ff", "00ff"},
	} {
		getenv := func(name string) string { return map[string]string{"MY_KEY": c.key}[name] }
		values := make(map[string]value)
		for _, s := range settings() {
			values[s.name] = value{s.standard, "default"}
		}
		values["signing-key-env"] = value{"MY_KEY", "flag"}
		values["node-id"], values["data-dir"] = value{"n1", "flag"}, value{"d", "flag"}
		values["peers"] = value{"n1=127.0.0.1:9001", "flag"}
		o, err := parseOptions(t.Context(), values, getenv, lookupHost)
		if err != nil || string(o.signingKey) != c.want {
			t.Errorf("%s: key %q, %v; want %q", c.name, o.signingKey, err, c.want)
		}
	}
}
