package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/tesd/tesd/client"
)

func Example() {
	node := httptest.NewServer(http.HandlerFunc(serveExample)) // one that serves a tesd in real life
	defer node.Close()

	c, err := client.New([]string{node.URL})
	if err != nil {
		log.Fatal(err)
	}
	resp, err := c.Bump(context.Background(), client.BumpRequest{
		Scope:           client.Minor,
		EntityID:        "component:checkout",
		ExpectedVersion: "1.4.2",
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, change := range resp.Changes {
		fmt.Println(change.EntityID, *change.OldVersion, "→", *change.NewVersion)
	}

	_, err = c.Entity(context.Background(), "component:basket")
	fmt.Println(errors.Is(err, client.ErrNotFound))

	// Output:
	// component:checkout 1.4.2 → 1.5.0
	// true
}

// serveExample answers what the example asks.
func serveExample(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/version/bump" {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"success": false, "error": {"code": "ENTITY_NOT_FOUND", "outcome": "rejected"}}`)
		return
	}
	io.WriteString(w, `{"success": true, "revision": 8, "changes": [{"entityId": "component:checkout",
		"oldVersion": "1.4.2", "newVersion": "1.5.0", "displayName": "Checkout"}]}`)
}

func ExampleVerifier() {
	receipt := client.Receipt{
		RegistryID: "tes-registry-v1",
		Revision:   2,
		Payload:    `{"registryId":"tes-registry-v1","revision":3}`,
		Hash:       "66a045b452102c59d840ec097d59d9467e13a3f34f6494e539ffd32c1bb35f18",
	}
	_, err := client.Verifier{Key: []byte("the key of the cluster, 32 bytes")}.VerifyReceipt(receipt)
	fmt.Println(err)
	// Output: revision 2: verification failed: the hash is not that of the payload
}
