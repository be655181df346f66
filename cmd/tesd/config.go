package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/pflag"
)

// A setting is one thing that can be configured: the flag --name, the environment
// variable TESD_NAME and the key "name" of the configuration file.
type setting struct {
	name     string
	kind     string // of its value, in help
	standard string // the default; "" for none
	required bool
	help     string
}

// settings is the table of all settings of serve, in the order in which help and
// --print-config show them.
func settings() []setting {
	return []setting{
		{name: "node-id", kind: "id", required: true, help: "name of this node in the cluster"},
		{name: "data-dir", kind: "dir", required: true, help: "directory of this node's data; made if needed"},
		{name: "http", kind: "address", standard: "127.0.0.1:8001", help: "host:port of the HTTP API"},
		{name: "raft", kind: "address", standard: "127.0.0.1:9001", help: "host:port on which the nodes talk to each other"},
		{name: "peers", kind: "id=address,...", required: true, help: "the founding nodes and their raft addresses, the same on every node"},
		{name: "registry-file", kind: "file", help: "registry that an empty cluster starts with"},
		{name: "registry-id", kind: "id", standard: "tes-registry-v1", help: "id of the default registry; fixed when the cluster is founded"},
		{name: "history-keep", kind: "N", standard: "0", help: "transactions kept per registry, 0 for all; fixed when the cluster is founded"},
		{name: "signing-key-env", kind: "name", standard: defaultKeyEnv, help: "environment variable that holds the signing key"},
		{name: "cache-ttl", kind: "duration", standard: "60s", help: "how long encoded answers that nobody asks for stay in memory"},
		{name: "alarm-timeout", kind: "duration", standard: "5m", help: "how long a registry is without transactions before it counts as TERMINATED"},
		{name: "election-timeout", kind: "duration", standard: "500ms", help: "how long a node waits for the leader before it campaigns; the same on every node, and longer where disk writes are slow"},
		{name: "max-websocket-connections", kind: "N", standard: "100", help: "WebSocket connections that this node holds at most"},
		{name: "log-format", kind: "json|text", standard: "json", help: "how to write the log, on standard error"},
		{name: "log-level", kind: "trace|debug|info|warn|error", standard: "info", help: "least level to log"},
		{name: "insecure", kind: "bool", standard: "false", help: "serve without TLS and access control on an address that is not loopback"},
	}
}

// configSetting is where the configuration file is, which the file itself cannot say.
func configSetting() setting {
	return setting{name: "config", kind: "file", help: "configuration file: a JSON object whose keys are names of flags"}
}

// envName is the environment variable of a setting.
func (s setting) envName() string {
	return "TESD_" + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

// textFlag is the flag of a setting: any text, which is judged when all of them are known.
type textFlag struct {
	value string
	kind  string
}

func (f *textFlag) String() string     { return f.value }
func (f *textFlag) Set(s string) error { f.value = s; return nil }
func (f *textFlag) Type() string       { return f.kind }

// addSettings adds the flags of the settings. Their defaults stand in the help only, so
// that a flag that was not given is empty.
func addSettings(flags *pflag.FlagSet) {
	for _, s := range append(settings(), configSetting()) {
		help := s.help + "; also " + s.envName()
		if s.standard != "" && s.kind != "bool" {
			help += " (default " + s.standard + ")"
		}
		flag := flags.VarPF(&textFlag{kind: s.kind}, s.name, "", help)
		if s.kind == "bool" {
			flag.NoOptDefVal = "true"
		}
	}
}

// value is a setting's text and where it came from.
type value struct {
	text   string
	origin string // "flag", "env TESD_X", "file PATH" or "default"
}

// resolve finds the value of each setting: a flag before the environment before the file
// before the default, where what is empty counts as not given. Its error has all faults
// of the file; the values are those that could be had all the same.
func resolve(flags *pflag.FlagSet, getenv func(string) string) (map[string]value, error) {
	given := func(s setting) (value, bool) {
		if text := flags.Lookup(s.name).Value.String(); text != "" {
			return value{text, "flag"}, true
		}
		if text := getenv(s.envName()); text != "" {
			return value{text, "env " + s.envName()}, true
		}
		return value{}, false
	}
	values := make(map[string]value)
	var (
		file   map[string]string
		faults error
	)
	if v, ok := given(configSetting()); ok {
		values["config"] = v
		file, faults = readConfigFile(v.text)
	}
	for _, s := range settings() {
		if v, ok := given(s); ok {
			values[s.name] = v
		} else if text := file[s.name]; text != "" {
			values[s.name] = value{text, "file " + values["config"].text}
		} else {
			values[s.name] = value{s.standard, "default"}
		}
	}
	return values, faults
}

// readConfigFile reads a configuration file: a JSON object of texts, numbers and booleans
// by the names of flags. With faults it returns what is sound.
func readConfigFile(path string) (map[string]string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	texts := make(map[string]string)
	var faults []error
	for _, s := range settings() {
		member, ok := members[s.name]
		if !ok {
			continue
		}
		delete(members, s.name)
		switch member.Kind() {
		case '"':
			var text string
			if err := json.Unmarshal(member, &text); err != nil {
				faults = append(faults, fmt.Errorf("%s: %s: %w", path, s.name, err))
			}
			texts[s.name] = text
		case '0', 't', 'f':
			texts[s.name] = string(bytes.TrimSpace(member))
		default:
			faults = append(faults, fmt.Errorf("%s: %s: must be a string, a number, true or false", path, s.name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		faults = append(faults, fmt.Errorf("%s: %q is not the name of a setting%s", path, name, meant(name)))
	}
	return texts, errors.Join(faults...)
}

// meant suggests the setting that a name is of in another spelling, such as registryId.
func meant(name string) string {
	letters := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r = unicode.ToLower(r); unicode.IsLetter(r) {
				return r
			}
			return -1
		}, s)
	}
	for _, s := range settings() {
		if own, given := letters(s.name), letters(name); own == given || len(given) > 3 && (strings.HasPrefix(given, own) || strings.HasPrefix(own, given)) {
			return fmt.Sprintf("; did you mean %q?", s.name)
		}
	}
	return ""
}

// printConfig writes each setting, its value and where that came from.
func (p *page) printConfig(values map[string]value) {
	var rows [][]string
	for _, s := range append(settings(), configSetting()) {
		if v := values[s.name]; v.origin != "" {
			rows = append(rows, []string{s.name, orDash(v.text), v.origin})
		}
	}
	p.table([]string{"SETTING", "VALUE", "ORIGIN"}, rows)
}
