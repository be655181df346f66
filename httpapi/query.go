package httpapi

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/intake"
)

// query reads the parameters behind a path's "?". Each may be given once; one that
// nobody asked for is a fault.
type query struct {
	given []pair
	asked []string
	f     *intake.Faults

	room struct { // for what most queries have, so that it takes no memory of its own
		given [1]pair
		asked [4]string
	}
}

type pair struct{ name, value string }

// newQuery takes a query apart as [url.ParseQuery] does, but needs no map for it: most have
// one parameter, and none has many.
func newQuery(raw string, f *intake.Faults) *query {
	q := &query{f: f}
	q.given, q.asked = q.room.given[:0], q.room.asked[:0]
	for raw != "" {
		var part string
		if part, raw, _ = strings.Cut(raw, "&"); part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		if strings.Contains(part, ";") {
			err = errors.New("invalid semicolon separator in query")
		}
		if err != nil {
			f.Add("?", "the query cannot be read: %v", err)
			continue
		}
		q.given = append(q.given, pair{name, value})
	}
	return q
}

// find returns the first value of a parameter, and how many it has.
func (q *query) find(name string) (value string, count int) {
	for _, p := range q.given {
		if p.name != name {
			continue
		}
		if count == 0 {
			value = p.value
		}
		count++
	}
	return value, count
}

// text returns a parameter as it is.
func (q *query) text(name string) (value string, given bool) {
	q.asked = append(q.asked, name)
	value, count := q.find(name)
	switch {
	case count > 1:
		q.f.Add("?"+name, "is given more than once")
	case !utf8.ValidString(value):
		q.f.Add("?"+name, "is not valid UTF-8")
	case count == 1:
		return value, true
	}
	return "", false
}

// checked returns a parameter that check finds nothing wrong with.
func (q *query) checked(name string, check func(string) error) (value string, given bool) {
	value, given = q.text(name)
	if !given {
		return "", false
	}
	if err := check(value); err != nil {
		q.f.Add("?"+name, "%v", err)
	}
	return value, true
}

// uint returns a parameter that is a whole number.
func (q *query) uint(name string) (n uint64, given bool) {
	value, given := q.text(name)
	if !given {
		return 0, false
	}
	n, ok := parseRevision(value)
	if !ok {
		q.f.Add("?"+name, "must be a whole number")
	}
	return n, true
}

// count returns a parameter that is a number of things on a page, 0 if it is not given.
func (q *query) count(name string) int {
	value, given := q.text(name)
	if !given {
		return 0
	}
	n, ok := parseRevision(value)
	if !ok || n < 1 || n > maxPage {
		q.f.Add("?"+name, "must be a number from 1 to %d", maxPage)
		return 0
	}
	return int(n)
}

// bool returns a parameter that is true or false.
func (q *query) bool(name string) (value, given bool) {
	text, given := q.text(name)
	if given && text != "true" && text != "false" {
		q.f.Add("?"+name, "must be true or false")
	}
	return text == "true", given
}

// flag returns a parameter that says true by being there, with or without a value.
func (q *query) flag(name string) bool {
	if value, count := q.find(name); count == 1 && value == "" {
		q.asked = append(q.asked, name)
		return true
	}
	value, _ := q.bool(name)
	return value
}

// freshness returns how fresh the state must be. A bound alone implies a stale read
// that keeps to it.
func (q *query) freshness() cluster.ReadOptions {
	var o cluster.ReadOptions
	consistency, named := q.text("consistency")
	switch {
	case consistency == "stale":
		o.Mode = cluster.Stale
	case named && consistency != "linearizable":
		q.f.Add("?consistency", "must be linearizable or stale")
	}
	if text, given := q.text("max_stale"); given {
		age, err := time.ParseDuration(text)
		switch {
		case err != nil || age <= 0:
			q.f.Add("?max_stale", "must be a duration above 0, such as 2s")
		case consistency == "linearizable":
			q.f.Add("?max_stale", "is for consistency=stale")
		}
		o.Mode, o.MaxStale = cluster.Stale, age
	}
	return o
}

// readOptions returns how fresh the state of one registry must be.
func (q *query) readOptions() cluster.ReadOptions {
	o := q.freshness()
	if revision, given := q.uint("min_revision"); given {
		o.MinRevision = revision
		if _, named := q.find("consistency"); named == 0 {
			o.Mode = cluster.Stale
		}
	}
	return o
}

// finish notes the parameters that nobody asked for.
func (q *query) finish() {
	var unknown []string
	for _, p := range q.given {
		if !slices.Contains(q.asked, p.name) && !slices.Contains(unknown, p.name) {
			unknown = append(unknown, p.name)
		}
	}
	if len(unknown) == 0 {
		return
	}
	slices.Sort(unknown)
	known := "the route has none"
	if len(q.asked) > 0 {
		known = "the route has " + strings.Join(slices.Sorted(slices.Values(q.asked)), ", ")
	}
	for _, name := range unknown {
		q.f.Add("?"+intake.Shorten(name), "is not a known parameter; %s", known)
	}
}
