package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/client/clienttest"
)

// TestScripts runs the command line as users do, in this process, against a fake cluster.
// The scripts have these commands besides the usual ones:
//
//	tesd ARGS…     runs tesd, which must exit with 0; a file named by $STDIN is its input
//	exits N ARGS…  runs tesd, which must exit with N
//	asked          writes what the fake was asked since, a line per request
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			tb := e.T().(testing.TB)
			up, down := newFake(tb), newFake(tb)
			down.Close()
			e.Values["fake"] = up
			e.Setenv("UP", up.URL)
			e.Setenv("DOWN", down.URL)
			e.Setenv("TESD_ENDPOINTS", up.URL)
			e.Setenv("KEY", fakeKey)
			e.Setenv("WATCHED", newWatched(tb))
			var lines, receipts [][]byte // of the transactions of a history, in JSON
			for _, event := range chain("r").Events {
				line, err := json.Marshal(event)
				receipt, err2 := json.Marshal(client.Receipt{RegistryID: "r", Revision: event.Revision, Payload: event.Payload,
					Hash: event.Hash, Signature: event.Signature, KeyID: event.KeyID})
				if err := errors.Join(err, err2); err != nil {
					return err
				}
				lines, receipts = append(lines, line), append(receipts, receipt)
			}
			array := func(elements ...[]byte) []byte { return fmt.Appendf(nil, "[%s]", bytes.Join(elements, []byte(","))) }
			return errors.Join(
				os.WriteFile(e.WorkDir+"/receipt.json", receipts[0], 0o600),
				os.WriteFile(e.WorkDir+"/receipts.json", array(receipts[0], receipts[1]), 0o600),
				os.WriteFile(e.WorkDir+"/lines.json", bytes.Join(lines, []byte("\n")), 0o600),
				os.WriteFile(e.WorkDir+"/filtered.json", array(lines[0], lines[2]), 0o600),
				os.WriteFile(e.WorkDir+"/k.key", []byte(fakeKey), 0o600),
				os.WriteFile(e.WorkDir+"/example-registry.json", exampleRegistry, 0o600))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"tesd": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg {
					ts.Fatalf("say by exits how it fails")
				}
				runScript(ts, 0, args)
			},
			"exits": func(ts *testscript.TestScript, neg bool, args []string) {
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				runScript(ts, want, args[1:])
			},
			"asked": func(ts *testscript.TestScript, neg bool, args []string) {
				_, err := ts.Stdout().Write([]byte(ts.Value("fake").(*fake).asked()))
				ts.Check(err)
			},
		},
	})
}

// newWatched starts a tesd whose registry has three entities and four transactions, and
// returns where it is.
func newWatched(tb testing.TB) string {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	srv := clienttest.New(tb, clienttest.WithClock(func() time.Time { return noon }))
	entity := func(id, kind string) client.Entity {
		return client.Entity{ID: id, Type: kind, CurrentVersion: "1.0.0", UpdateStrategy: "independent", DisplayName: id}
	}
	srv.Seed(entity("global:shop", "global"), entity("component:a", "component"), entity("component:b", "component"))
	for _, id := range []string{"component:a", "global:shop", "component:b"} {
		if _, err := srv.Client().Bump(tb.Context(), client.BumpRequest{Scope: client.Minor, EntityID: id}); err != nil {
			tb.Fatal(err)
		}
	}
	return srv.URL
}

// runScript runs tesd with the arguments and the environment of a script.
func runScript(ts *testscript.TestScript, want int, args []string) {
	var env []string
	for _, name := range []string{
		"TESD_ENDPOINTS", "TESD_REGISTRY", "TESD_IDEMPOTENCY_KEY", "VERSION_SIGNING_KEY", "OTHER_KEY",
		"TESD_NODE_ID", "TESD_HTTP", "TESD_RAFT", "TESD_CONFIG", "TESD_CACHE_TTL", "TESD_PEERS", "TESD_DATA_DIR",
	} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	stdin := ""
	if file := ts.Getenv("STDIN"); file != "" {
		stdin = ts.ReadFile(file)
	}
	for i, arg := range args { // the process stays where it is, so a script's files need their whole path
		if slices.Contains([]string{".json", ".key", ".backup", ".dir"}, filepath.Ext(arg)) {
			args[i] = ts.MkAbs(arg)
		}
	}
	if got := run(context.Background(), args, env, strings.NewReader(stdin), ts.Stdout(), ts.Stderr()); got != want {
		ts.Fatalf("tesd exited with %d, not %d", got, want)
	}
}
