package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
)

// TestJSONLog: each line means what hclog's would.
func TestJSONLog(t *testing.T) {
	var ours, theirs bytes.Buffer
	mine := newJSONLog("tesd", hclog.Info, &ours)
	yours := hclog.New(&hclog.LoggerOptions{Name: "tesd", Level: hclog.Info, Output: &theirs, JSONFormat: true})
	for name, args := range map[string][]any{
		"nothing":        nil,
		"plain":          {"text", "a", "int", -3, "int64", int64(7), "uint64", uint64(1) << 63, "yes", true, "no", false},
		"escapes":        {"quote\"", "line\nand \\ and \x01 and <&>", "unicode", "é\u2028 😀"},
		"not UTF-8":      {"text", "a\xffb"},
		"an error":       {"error", errors.New("it failed")},
		"a duration":     {"took", time.Second},
		"a list":         {"ids", []string{"a", "b"}},
		"nil":            {"value", nil},
		"no value":       {"key"},
		"no text as key": {3, "value"},
		"a key twice":    {"key", "first", "key", "last"},
		"a built-in key": {"@level", "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, in := range []struct {
				name string
				of   func(hclog.Logger) hclog.Logger
			}{
				{"itself", func(l hclog.Logger) hclog.Logger { return l }},
				{"with values", func(l hclog.Logger) hclog.Logger { return l.With("node", "n1", "key", "implied") }},
				{"named", func(l hclog.Logger) hclog.Logger { return l.Named("http").With("text", "implied") }},
				{"another name", func(l hclog.Logger) hclog.Logger { return l.ResetNamed("") }},
			} {
				ours.Reset()
				theirs.Reset()
				for _, l := range []hclog.Logger{in.of(mine), in.of(yours)} {
					l.Info("it \"happened\"", args...)
					l.Warn("it happened", args...)
					l.Debug("nobody hears it", args...)
					l.Error("it is bad", args...)
				}
				if diff := cmp.Diff(logLines(t, &theirs), logLines(t, &ours)); diff != "" {
					t.Errorf("%s: hclog's lines and ours (-want +got):\n%s", in.name, diff)
				}
			}
		})
	}
	ours.Reset()
	mine.Named("http").Info("it happened", "z", 1, "a", "2")
	if want := `"z":1,"a":"2"}`; !strings.Contains(ours.String(), want) {
		t.Errorf("a plain line is %s, want its fields as they were given: %s", &ours, want) // hclog sorts them
	}
	ours.Reset()
	mine.SetLevel(hclog.Error)
	mine.Info("nobody hears it")
	mine.Warn("nobody hears it")
	if ours.Len() > 0 {
		t.Errorf("below the level it logged %s", &ours)
	}
}

// logLines decodes a log, without the times, which must be there.
func logLines(t *testing.T, log *bytes.Buffer) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for line := range bytes.Lines(log.Bytes()) {
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		at, _ := fields["@timestamp"].(string)
		if _, err := time.Parse(hclog.TimeFormatJSON, at); err != nil {
			t.Errorf("the time of %s: %v", line, err)
		}
		maps.DeleteFunc(fields, func(key string, _ any) bool { return key == "@timestamp" })
		lines = append(lines, fields)
	}
	return lines
}
