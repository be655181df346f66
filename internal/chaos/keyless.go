package chaos

import (
	"bytes"
	"context"
	"io"
	"net/http"
)

// keyless sends requests without their idempotency keys, which the library gives to every write. A key also
// holds its transaction in the history for a day, and would keep it from being compacted.
type keyless struct{ *http.Transport }

// single is under which the context of a call has what ends it, if its request is to be sent only once.
type single struct{}

// singly returns a context of a call that comes to an end with its first attempt. The library believes that its
// write has a key, and would repeat it; a call that has ended tells what came of its last attempt.
func singly(ctx context.Context, end context.CancelFunc) context.Context {
	return context.WithValue(ctx, single{}, end)
}

// RoundTrip sends a request.
func (k keyless) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("Idempotency-Key")
	resp, err := k.Transport.RoundTrip(r)
	end, once := r.Context().Value(single{}).(context.CancelFunc)
	if !once {
		return resp, err
	}
	defer end()
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body) // while the call lasts
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}
