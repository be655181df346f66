package cluster

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
)

// TestSigner signs with two keys in turn and at once, as the standard library does with each by itself.
func TestSigner(t *testing.T) {
	var s signer
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 200 {
				key, message := fmt.Appendf(nil, "key %d", (worker+i/3)%2), fmt.Append(nil, "message ", worker, i)
				mac := hmac.New(sha256.New, key)
				mac.Write(message)
				if got := s.sign([]byte("before"), key, message); !bytes.Equal(got, mac.Sum([]byte("before"))) {
					t.Errorf("%s of %s is %x; want %x", message, key, got, mac.Sum([]byte("before")))
				}
			}
		})
	}
	all.Wait()
}

// BenchmarkSign signs as much as the payload of a bump, as a node does and with a key that is prepared each time.
func BenchmarkSign(b *testing.B) {
	key, payload := make([]byte, sha256.Size), make([]byte, 500)
	b.Run("node", func(b *testing.B) {
		var s signer
		var sum [sha256.Size]byte
		b.ReportAllocs()
		for b.Loop() {
			s.sign(sum[:0], key, payload)
		}
	})
	b.Run("prepared each time", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			mac := hmac.New(sha256.New, key)
			mac.Write(payload)
			mac.Sum(nil)
		}
	})
}
