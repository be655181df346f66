package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
)

// Where a WebSocket is opened. The second place is not clean, so it takes nothing else.
const (
	upgrades    = "/version/ws"
	upgradesToo = "/version/"
)

// route is one line of the table of routes.
type route struct {
	method    string // GET serves HEAD too
	pattern   string // {name} stands for one segment, {name...} for one or more at the end
	operation string // what errors call it
	local     bool   // about this node alone: served while it drains, too
	handle    func(*Server, *call) (*answer, error)
}

// routes is the table of all routes. Those below /version are about a registry, and
// stand below /registries/{registry} as well.
func routes() []route {
	return []route{
		{"POST", "/version/bump", "bump", false, (*Server).bump},
		{"POST", "/version/batch", "batch", false, (*Server).batch},
		{"POST", "/version/migrate", "migrate", false, (*Server).migrate},
		{"GET", "/version/registry", "registry", false, (*Server).registry},
		{"GET", "/version/entities/{id...}", "entity", false, (*Server).entity},
		{"PUT", "/version/entities/{id...}", "put", false, (*Server).putEntity},
		{"DELETE", "/version/entities/{id...}", "delete", false, (*Server).deleteEntity},
		{"GET", "/version/history", "history", false, (*Server).history},
		{"GET", "/version/receipts/{revision}", "receipt", false, (*Server).receipt},
		{"GET", upgrades, "watch", false, (*Server).openWebSocket},
		{"GET", "/version/events", "events", false, (*Server).events},
		{"GET", "/version/health", "health", true, (*Server).health},
		{"GET", "/registries", "registries", false, (*Server).registries},
		{"GET", "/cluster", "cluster", true, (*Server).clusterStatus},
		{"POST", "/cluster/nodes", "addNode", false, (*Server).addNode},
		{"DELETE", "/cluster/nodes/{id}", "removeNode", false, (*Server).removeNode},
		{"POST", "/cluster/transfer", "transfer", false, (*Server).transferLeadership},
		{"GET", "/cluster/backup", "backup", false, (*Server).backup},
		{"GET", "/livez", "livez", true, (*Server).livez},
		{"GET", "/readyz", "readyz", true, (*Server).readyz},
		{"GET", "/metrics", "metrics", true, (*Server).metricsText},
		{"GET", "/openapi.json", "openapi", true, (*Server).openAPI},
	}
}

// table is the routes by pattern, made for matching.
type table struct {
	lines []line
	plain map[string]*line // those whose pattern is a path, by it
	open  []*line          // those whose pattern is a path but for its end, which may be long
}

// line is the routes of one pattern.
type line struct {
	segments []string // the pattern's
	start    string   // of the pattern, up to its variable
	scoped   bool     // about a registry
	routes   []route
	allow    string // the value of the Allow header
}

func newTable() table {
	t := table{plain: make(map[string]*line)}
	for _, r := range routes() {
		i := slices.IndexFunc(t.lines, func(l line) bool { return l.routes[0].pattern == r.pattern })
		if i < 0 {
			i = len(t.lines)
			t.lines = append(t.lines, line{segments: strings.Split(r.pattern[1:], "/"), scoped: strings.HasPrefix(r.pattern, "/version/")})
		}
		l := &t.lines[i]
		l.routes = append(l.routes, r)
		if l.allow != "" {
			l.allow += ", "
		}
		if l.allow += r.method; r.method == http.MethodGet {
			l.allow += ", " + http.MethodHead
		}
	}
	for i := range t.lines {
		l := &t.lines[i]
		start, variable, ok := strings.Cut(l.routes[0].pattern, "{")
		l.start = start
		if !ok {
			t.plain[start] = l
		} else if strings.HasSuffix(variable, "...}") {
			t.open = append(t.open, l)
		}
	}
	return t
}

// find looks up what a request is for and notes it in the call: route, registry and
// the variable part of the path.
func (t table) find(c *call, defaultRegistry string) error {
	if l, tail := t.atOnce(c.r.URL); l != nil {
		c.registry, c.tail = defaultRegistry, tail
		return c.take(l)
	}
	notFound := &failure{code: client.CodeNotFound, message: "there is no such route"}
	segments, clean := split(c.r.URL)
	if !clean && isUpgrade(c.r) { // of a WebSocket, to the place below which the routes are
		if segments, clean = split(c.r.URL.JoinPath("ws")); segments[max(len(segments)-2, 0)] != "version" {
			clean = false
		}
	}
	if !clean {
		return notFound
	}
	c.registry = defaultRegistry
	named := len(segments) > 2 && segments[0] == "registries" && segments[2] == "version"
	if named {
		c.registry, segments = segments[1], segments[2:]
	}
	for i := range t.lines {
		l := &t.lines[i]
		tail, ok := l.match(segments)
		if !ok || named && !l.scoped {
			continue
		}
		c.tail = tail
		return c.take(l)
	}
	return notFound
}

// atOnce finds the line of a path in which nothing is escaped, as most are; nil if it takes more than that.
func (t table) atOnce(u *url.URL) (l *line, tail string) {
	if u.RawPath != "" {
		return nil, ""
	}
	if l = t.plain[u.Path]; l != nil {
		return l, ""
	}
	for _, l := range t.open {
		if tail, ok := strings.CutPrefix(u.Path, l.start); ok && tail != "" && !strings.Contains(tail, "/") && tail[0] != '.' {
			return l, tail
		}
	}
	return nil, ""
}

// take notes the route that the call's method has on a line.
func (c *call) take(l *line) error {
	for i := range l.routes {
		if r := &l.routes[i]; r.method == c.r.Method || r.method == http.MethodGet && c.r.Method == http.MethodHead {
			c.route = r
			return c.checkRegistry()
		}
	}
	c.set("Allow", l.allow)
	return &failure{code: client.CodeMethodNotAllowed, message: "the route takes only " + l.allow}
}

// checkRegistry refuses a registry that no registry can be named like.
func (c *call) checkRegistry() error {
	if err := fsm.CheckRegistryID(c.registry); err != nil {
		return &failure{code: client.CodeRegistryNotFound, message: "there is no such registry: " + err.Error()}
	}
	return nil
}

// match holds the segments of a path against the line's, and returns what its
// variable stands for.
func (l *line) match(segments []string) (tail string, ok bool) {
	for i, want := range l.segments {
		switch {
		case i == len(segments):
			return "", false
		case strings.HasSuffix(want, "...}"):
			return strings.Join(segments[i:], "/"), true
		case want[0] == '{':
			tail = segments[i]
		case want != segments[i]:
			return "", false
		}
	}
	return tail, len(segments) == len(l.segments)
}

// split takes a path apart at its slashes, not at the escaped ones, and unescapes
// the segments. A path with an empty, "." or ".." segment, escaped or not, is not clean.
func split(u *url.URL) (segments []string, clean bool) {
	path, ok := strings.CutPrefix(u.EscapedPath(), "/")
	if !ok {
		return nil, false
	}
	segments = strings.Split(path, "/")
	for i, s := range segments {
		s, err := url.PathUnescape(s)
		if err != nil || s == "" || s == "." || s == ".." {
			return nil, false
		}
		segments[i] = s
	}
	return segments, true
}
