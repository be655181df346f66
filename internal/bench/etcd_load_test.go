package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestSwaps: a client that was too late is told what is there, and tries again with that.
func TestSwaps(t *testing.T) {
	encode := base64.StdEncoding.EncodeToString
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if asked = append(asked, string(body)); len(asked) > 3 {
			http.Error(w, "it does not learn", http.StatusTeapot)
			return
		}
		if strings.Contains(string(body), `"value":"`+encode([]byte("1.0.7"))+`"}],`) {
			fmt.Fprint(w, `{"header":{},"succeeded":true,"responses":[{"response_put":{}}]}`)
			return
		}
		fmt.Fprintf(w, `{"header":{},"responses":[{"response_range":{"kvs":[{"key":"eA==","value":"%s"}]}}]}`, encode([]byte("1.0.7")))
	}))
	defer server.Close()
	op, err := swaps(1)(&cluster{})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorker(0, []string{server.URL})
	defer w.close()
	if conflicts, err := op(w); err != nil || conflicts != 1 || len(asked) != 2 {
		t.Fatalf("%d conflicts, %d requests, %v", conflicts, len(asked), err)
	}
	if !strings.Contains(asked[0], "CREATE") || !strings.Contains(asked[1], encode([]byte("1.0.8"))) {
		t.Errorf("it asked %q", asked)
	}
}
