package apicheck

import (
	"bytes"
	"errors"
	"io"
	"net/http"
)

// Transport is an [http.RoundTripper] that holds what passes through it against a
// document. It is safe for concurrent use if Base and Report are.
type Transport struct {
	Base     http.RoundTripper
	Document *Document
	Report   func(error) // takes what differs from the document
}

// RoundTrip sends a request. The answer is read to its end before it is returned; one
// that breaks off is returned as it is and not checked.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	x := &Exchange{Request: req}
	if req.Body != nil && req.Body != http.NoBody {
		body, err := io.ReadAll(req.Body)
		if err = errors.Join(err, req.Body.Close()); err != nil {
			return nil, err
		}
		x.RequestBody = body
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	resp, err := t.Base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), broken{err}))
		return resp, nil
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	x.Response, x.ResponseBody = resp, body
	if err := t.Document.Check(x); err != nil {
		t.Report(err)
	}
	return resp, nil
}

// broken is the end of an answer that broke off.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }
