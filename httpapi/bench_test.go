package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tesd/tesd/httpapi"
)

// BenchmarkBump is what the server adds to a bump: a request is read, decoded, carried out
// by a machine without a log, signed and answered, without a network.
func BenchmarkBump(b *testing.B) {
	s, err := httpapi.New(httpapi.Config{
		Node: newFakeNode(0), DefaultRegistry: defaultRegistry, AlarmTimeout: time.Minute, Log: &silent{},
	})
	if err != nil {
		b.Fatal(err)
	}
	send := func(path, body string) {
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		if s.Handler().ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatalf("status %d: %s", w.Code, w.Body)
		}
	}
	send("/version/migrate", `{"source":"test","entities":`+example()+`}`)
	b.ReportAllocs()
	for b.Loop() {
		send("/version/bump", `{"scope":"patch","entityId":"global:main"}`)
	}
}

// BenchmarkNew is what a server does before its first request, above all making the OpenAPI
// document.
func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := httpapi.New(httpapi.Config{
			Node: newFakeNode(0), DefaultRegistry: defaultRegistry, AlarmTimeout: time.Minute, Log: &silent{},
		}); err != nil {
			b.Fatal(err)
		}
	}
}

// silent is a log that keeps nothing.
type silent struct{}

func (*silent) Info(string, ...any)  {}
func (*silent) Warn(string, ...any)  {}
func (*silent) Error(string, ...any) {}
