package fsm_test

import (
	"crypto/sha256"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tesd/tesd/fsm"
	"pgregory.net/rapid"
)

// TestPayload has the exact bytes of one receipt, and holds them to a canonicalisation
// that shares no code with the package.
func TestPayload(t *testing.T) {
	const want = `{"actor":"ci","changes":[` +
		`{"displayName":"Main","entityId":"global:main","newVersion":"1.1.0","oldVersion":"1.0.0"},` +
		`{"displayName":"Component 0","entityId":"component:0","newVersion":"1.1.0","oldVersion":"1.0.0"}],` +
		`"clusterId":"00112233445566778899aabbccddeeff","kind":"bump",` +
		`"previousHash":"c98706d722d131561af253209c4e1d7e079f472ba2e44936010f19af16e7dad1","registryId":"tes-registry-v1",` +
		`"request":{"cascade":true,"dryRun":false,"entityId":"global:main","expectedVersion":"1.0.0","reason":"<a> & \"b\"","scope":"minor"},` +
		`"revision":2,"timestamp":1700000000123,"transactionId":"7a77ae35-9e5c-8dcd-868e-834f244e69c0"}`
	m := fsm.New()
	results := m.Apply(1, fsm.Entry{Stamp: 1_700_000_000_123, Commands: []fsm.Command{founding(0), manyEntities(1),
		{Registry: defaultRegistry, Actor: "ci", Op: fsm.Bump{Scope: fsm.Minor, EntityID: "global:main", Cascade: true, ExpectedVersion: "1.0.0", Reason: `<a> & "b"`}}}})
	tx := results[2].Transaction
	got := string(tx.Payload())
	if got != want {
		t.Errorf("payload is\n%s\nwant\n%s", got, want)
	}
	if again := canonical(t, got); again != got {
		t.Errorf("payload is\n%s\ncanonical would be\n%s", got, again)
	}
	if tx.Hash != sha256.Sum256([]byte(got)) {
		t.Error("the hash is not that of the payload")
	}
	if tx.PreviousHash != sha256.Sum256(results[1].Transaction.Payload()) {
		t.Error("the previous hash is not that of revision 1")
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(tx.ID) {
		t.Errorf("%s is no UUID of version 8", tx.ID)
	}
}

// canonical reads JSON and writes it again with its names sorted.
func canonical(t interface{ Fatal(...any) }, text string) string {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return modelJSON(v)
}

// TestEscapes has the rules of RFC 8785, section 3.2.2.2, and its own example.
func TestEscapes(t *testing.T) {
	for text, want := range map[string]string{
		"":                     `""`,
		`"\/`:                  `"\"\\/"`,
		"\b\t\n\f\r":           `"\b\t\n\f\r"`,
		"\x00\x01\x0b\x1f\x0f": `"\u0000\u0001\u000b\u001f\u000f"`,
		"\x7f\u0080\u00a0":     "\"\x7f\u0080\u00a0\"",
		"\u2028\u2029\ufeff":   "\"\u2028\u2029\ufeff\"",
		"<script>&amp;'":       `"<script>&amp;'"`,
		"ünï 😂 דּ e\u0301":     "\"ünï 😂 דּ e\u0301\"",
		"\ufffd":               "\"\ufffd\"",
		"\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/": `"€$\u000f\nA'B\"\\\\\"/"`,
	} {
		e := fsm.Entity{DisplayName: text}
		got := string(e.AppendJSON(nil))
		if !strings.Contains(got, `"displayName":`+want+`,`) {
			t.Errorf("%q is written in %s", text, got)
		}
	}
}

// TestEntityJSON writes random entities, and holds them to encoding/json.
func TestEntityJSON(t *testing.T) {
	full := fsm.Entity{ID: "a", Type: fsm.TypeComponent, CurrentVersion: "1", UpdateStrategy: fsm.LinkedToParent, ParentVersionID: "b", DisplayInUI: true,
		DisplayName: "A", Description: "d", APIEndpointPrefix: "/", CLICommandName: "c",
		Files: []fsm.File{{Path: "p", Pattern: "x", Replacement: "$1", Description: "d", DefaultVersion: "1", Required: true}, {}}}
	const want = `{"apiEndpointPrefix":"/","cliCommandName":"c","currentVersion":"1","description":"d","displayInUi":true,"displayName":"A",` +
		`"files":[{"defaultVersion":"1","description":"d","path":"p","pattern":"x","replacement":"$1","required":true},` +
		`{"description":"","path":"","pattern":"","replacement":""}],` +
		`"id":"a","parentVersionId":"b","type":"component","updateStrategy":"linked-to-parent"}`
	if got := string(full.AppendJSON([]byte("before "))); got != "before "+want {
		t.Errorf("got %s", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Filter(func(s string) bool {
			// Texts that spell out an escape would confuse the reference.
			return utf8.ValidString(s) && !strings.Contains(s, `\u202`)
		})
		e := fsm.Entity{ID: text.Draw(t, "id"), CurrentVersion: text.Draw(t, "version"), ParentVersionID: text.Draw(t, "parent"),
			DisplayName: text.Draw(t, "name"), Description: text.Draw(t, "description"), DisplayInUI: rapid.Bool().Draw(t, "shown"),
			Files: []fsm.File{{Path: text.Draw(t, "path"), DefaultVersion: text.Draw(t, "default"), Required: rapid.Bool().Draw(t, "required")}}}
		if got, want := string(e.AppendJSON(nil)), modelJSON(entityObject(e)); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}
