package fsm_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tesd/tesd/fsm"
)

// stage is where a script plays: a machine, its log, and the time.
type stage struct {
	t       *testing.T
	machine *fsm.Machine
	index   uint64
	now     int64
	out     strings.Builder
	words   []string // of the directive, those not yet read
}

const scriptStart = 1_700_000_000_000

func newStage(t *testing.T) *stage {
	return &stage{t: t, machine: fsm.New(), now: scriptStart}
}

// run carries out one directive with the lines that belong to it:
//
//	found [keeping N]                        the cluster's first entry
//	put ENTITY                               ENTITY is: ID [VERSION] [linked-to-parent PARENT | linked-to-nothing | independent below PARENT]
//	                                         [type TYPE] [named NAME] [file PATH [pattern RE]] [create-only]
//	bump SCOPE ID|everything [alone] [expecting VERSION] [because REASON]
//	batch, migrate SOURCE                    with a line for each bump or entity, without its verb
//	delete ID
//	plan bump …, plan batch                  a dry run
//	lead NODE TERM, malformed                a leader's first entry; a command that cannot be read
//	advance DURATION, jump DURATION          time goes by in entries ten minutes apart, or in one; back if negative
//	snapshot-and-restore, show, history [ID] [after N], receipt N, registries, keys
//
// and behind any of them: in REGISTRY, by ACTOR, with-key KEY, if-match REVISION.
func (s *stage) run(lines []string) {
	s.words = splitWords(lines[0])
	verb := s.next()
	switch verb {
	case "advance":
		for left := s.duration(); left > 0; left -= 10 * 60 * 1000 {
			s.now += min(left, 10*60*1000)
			s.apply()
		}
	case "jump":
		s.now += s.duration()
		s.apply()
	case "snapshot-and-restore":
		before := s.machine.View().StateHash()
		s.machine = restore(s.t, snapshot(s.t, s.machine.View()))
		if s.machine.View().StateHash() != before {
			s.print("the state hash is another one")
		}
	case "malformed":
		entry, err := fsm.DecodeEntry(frameEntry(uint64(s.now), []byte{byte(fsm.KindBump)}))
		if err != nil {
			s.t.Fatal(err)
		}
		s.applyEntry(entry)
	case "show", "history", "receipt", "registries", "keys":
		s.tell(verb)
	case "plan":
		s.plan(s.command(s.next(), lines[1:]))
	default:
		s.apply(s.command(verb, lines[1:]))
	}
	if len(s.words) > 0 {
		s.t.Fatalf("%q: what is %q?", lines[0], s.words)
	}
}

func (s *stage) apply(commands ...fsm.Command) {
	s.applyEntry(throughCodec(s.t, fsm.Entry{Stamp: s.now, Commands: commands}))
}

func (s *stage) applyEntry(entry fsm.Entry) {
	s.index++
	for _, result := range s.machine.Apply(s.index, entry) {
		s.answer(result)
	}
}

// command reads a command's words and lines.
func (s *stage) command(verb string, lines []string) fsm.Command {
	var c fsm.Command
	c.Registry, c.Actor = s.registry(), "anonymous"
	if who, ok := s.named("by"); ok {
		c.Actor = who
	}
	c.Key, _ = s.named("with-key")
	if revision, ok := s.named("if-match"); ok {
		n := s.number(revision)
		c.IfMatch = &n
	}
	switch verb {
	case "found":
		g := fsm.Genesis{ClusterID: clusterID, RegistryID: defaultRegistry, KeyID: "0123456789abcdef"}
		if keep, ok := s.named("keeping"); ok {
			g.HistoryKeep = s.number(keep)
		}
		return fsm.Command{Op: g}
	case "lead":
		return fsm.Command{Op: fsm.Lead{Node: s.next(), Term: s.number(s.next())}}
	case "bump":
		c.Op = s.bump()
	case "batch":
		requests := []fsm.Bump{}
		s.each(lines, func() { requests = append(requests, s.bump()) })
		c.Op = fsm.Batch{Requests: requests}
	case "put":
		only := s.has("create-only")
		c.Op = fsm.Put{Entity: s.entity(), CreateOnly: only}
	case "delete":
		c.Op = fsm.Delete{EntityID: s.next()}
	case "migrate":
		m := fsm.Migrate{Source: s.next()}
		s.each(lines, func() { m.Entities = append(m.Entities, s.entity()) })
		c.Op = m
	default:
		s.t.Fatalf("there is no directive %q", verb)
	}
	return c
}

func (s *stage) bump() fsm.Bump {
	b := fsm.Bump{Cascade: !s.has("alone")}
	b.ExpectedVersion, _ = s.named("expecting")
	b.Reason, _ = s.named("because")
	b.Scope, _ = fsm.ParseScope(s.next())
	if b.EntityID = s.next(); b.EntityID == "everything" {
		b.EntityID = ""
	}
	return b
}

func (s *stage) entity() fsm.Entity {
	e := fsm.Entity{UpdateStrategy: fsm.Independent, Type: fsm.TypeComponent}
	if parent, ok := s.named("linked-to-parent"); ok {
		e.UpdateStrategy, e.ParentVersionID = fsm.LinkedToParent, parent
	}
	if s.has("linked-to-nothing") {
		e.UpdateStrategy = fsm.LinkedToParent
	}
	if s.has("independent") {
		e.ParentVersionID, _ = s.named("below")
	}
	if kind, ok := s.named("type"); ok {
		e.Type = fsm.EntityType(kind)
	}
	name, named := s.named("named")
	if path, ok := s.named("file"); ok {
		e.Files = []fsm.File{{Path: path}}
		e.Files[0].Pattern, _ = s.named("pattern")
	}
	if e.ID = s.next(); len(s.words) > 0 {
		e.CurrentVersion = s.next()
	}
	if e.DisplayName = name; !named {
		e.DisplayName = "The " + e.ID
	}
	return e
}

// each reads the lines that belong to a directive, and then goes on with its own words.
func (s *stage) each(lines []string, read func()) {
	rest := s.words
	for _, line := range lines {
		s.words = splitWords(line)
		read()
		if len(s.words) > 0 {
			s.t.Fatalf("%q: what is %q?", line, s.words)
		}
	}
	s.words = rest
}

func (s *stage) next() string {
	if len(s.words) == 0 {
		s.t.Fatal("a directive ends early")
	}
	word := s.words[0]
	s.words = s.words[1:]
	return word
}

// named takes the word behind the given one, wherever that stands.
func (s *stage) named(name string) (value string, ok bool) {
	for i, word := range s.words {
		if word == name && i+1 < len(s.words) {
			value = s.words[i+1]
			s.words = append(append([]string{}, s.words[:i]...), s.words[i+2:]...)
			return value, true
		}
	}
	return "", false
}

func (s *stage) has(word string) bool {
	for i, w := range s.words {
		if w == word {
			s.words = append(append([]string{}, s.words[:i]...), s.words[i+1:]...)
			return true
		}
	}
	return false
}

func (s *stage) registry() string {
	if id, ok := s.named("in"); ok {
		return id
	}
	return defaultRegistry
}

func (s *stage) number(word string) uint64 {
	n, err := strconv.ParseUint(word, 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *stage) duration() int64 {
	d, err := time.ParseDuration(s.next())
	if err != nil {
		s.t.Fatal(err)
	}
	return d.Milliseconds()
}

// splitWords splits at spaces, but not within quotes, which may hold Go's escapes.
func splitWords(line string) (words []string) {
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		word, rest, _ := strings.Cut(line, " ")
		if quoted, err := strconv.QuotedPrefix(line); err == nil {
			word, _ = strconv.Unquote(quoted)
			rest = line[len(quoted):]
		}
		words = append(words, word)
		line = rest
	}
	return words
}
