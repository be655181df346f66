package httpapi_test

import (
	"fmt"
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
	send := benchServer(b, example())
	b.ReportAllocs()
	for b.Loop() {
		send("POST", "/version/bump", `{"scope":"patch","entityId":"global:main"}`)
	}
}

// BenchmarkBumpWide is the same of a bump that moves 10,000 entities; most of it is the machine's.
func BenchmarkBumpWide(b *testing.B) {
	entities := []string{`{"id":"global:wide","type":"global","currentVersion":"1.0.0","updateStrategy":"independent","displayInUi":true,"displayName":"Wide","files":[]}`}
	for i := range 9_999 {
		entities = append(entities, fmt.Sprintf(`{"id":"component:c%d","type":"component","currentVersion":"1.0.0",`+
			`"updateStrategy":"linked-to-parent","parentVersionId":"global:wide","displayInUi":false,"displayName":"Component %[1]d","files":[]}`, i))
	}
	send := benchServer(b, "["+strings.Join(entities, ",")+"]")
	b.ReportAllocs()
	for b.Loop() {
		send("POST", "/version/bump", `{"scope":"patch","entityId":"global:wide"}`)
	}
}

// BenchmarkEntity is what the server adds to a stale read of an entity.
func BenchmarkEntity(b *testing.B) {
	send := benchServer(b, example())
	b.ReportAllocs()
	for b.Loop() {
		send("GET", "/version/entities/component:shop?consistency=stale", "")
	}
}

// BenchmarkRegistry is what the server adds to a read of a registry of 41 entities.
func BenchmarkRegistry(b *testing.B) {
	send := benchServer(b, components(41))
	b.ReportAllocs()
	for b.Loop() {
		send("GET", "/version/registry", "")
	}
}

// benchServer makes a server of a registry with these entities. What it returns sends a request.
func benchServer(b *testing.B, entities string) (send func(method, path, body string)) {
	s, err := httpapi.New(httpapi.Config{
		Node: newFakeNode(0), DefaultRegistry: defaultRegistry, AlarmTimeout: time.Minute, Log: &silent{},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	send = func(method, path, body string) {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		w := httptest.NewRecorder()
		if s.Handler().ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatalf("status %d: %s", w.Code, w.Body)
		}
	}
	send("POST", "/version/migrate", `{"source":"test","entities":`+entities+`}`)
	return send
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

func (*silent) IsInfo() bool         { return false }
func (*silent) Info(string, ...any)  {}
func (*silent) Warn(string, ...any)  {}
func (*silent) Error(string, ...any) {}

// components is so many entities, each with a file.
func components(n int) string {
	entities := make([]string, n)
	for i := range entities {
		entities[i] = fmt.Sprintf(`{"id":"component:c%d","type":"component","currentVersion":"1.0.%[1]d",`+
			`"updateStrategy":"independent","displayInUi":false,"displayName":"Component %[1]d","files":[{"path":"c/%[1]d/version.go",`+
			`"pattern":"Version = \"(.*)\"","replacement":"Version = \"$1\"","description":"what the program prints"}]}`, i)
	}
	return "[" + strings.Join(entities, ",") + "]"
}
