package client

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// DefaultRegistry is the id that a cluster's default registry has unless it was given another.
	DefaultRegistry = "tes-registry-v1"

	// DefaultTimeout bounds a call. It is longer than the 10 s that a server gives a request, so that
	// there is time to ask another node what became of one.
	DefaultTimeout = 15 * time.Second
)

// A Client works on one registry of one cluster. It is safe for concurrent use, starts no goroutines
// of its own, and need not be closed.
type Client struct {
	endpoints []string // base URLs without a trailing slash
	registry  string
	timeout   time.Duration
	http      *http.Client

	// good is the index of the endpoint that answered last, where the next call begins.
	good atomic.Int64
}

// New makes a client of the cluster whose nodes serve HTTP at endpoints, such as
// "http://127.0.0.1:8001". One node is enough, as every node answers everything; with more of them the
// client outlives each. New connects to none. Its error names all that is wrong with the arguments.
func New(endpoints []string, options ...Option) (*Client, error) {
	c := &Client{timeout: DefaultTimeout}
	for _, option := range options {
		option(c)
	}
	var faults []error
	if len(endpoints) == 0 {
		faults = append(faults, errors.New("no endpoint is given"))
	}
	for _, endpoint := range endpoints {
		if err := checkEndpoint(endpoint); err != nil {
			faults = append(faults, err)
		}
		c.endpoints = append(c.endpoints, strings.TrimRight(endpoint, "/"))
	}
	if c.registry != "" && !isRegistryID(c.registry) {
		faults = append(faults, fmt.Errorf("registry %q: not a registry id", c.registry))
	}
	if c.timeout <= 0 {
		faults = append(faults, fmt.Errorf("timeout %v: not above zero", c.timeout))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("making a tesd client: %w", err)
	}
	if c.http == nil {
		c.http = newHTTPClient()
	}
	return c, nil
}

// checkEndpoint tells whether requests can be sent below endpoint.
func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil && strings.Contains(endpoint, "://"):
		return fmt.Errorf("endpoint %q: %w", endpoint, errors.Unwrap(err))
	case err != nil || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("endpoint %q: begins with neither http:// nor https://", endpoint)
	case u.Hostname() == "":
		return fmt.Errorf("endpoint %q: names no host", endpoint)
	case u.Port() != "" && !isPort(u.Port()):
		return fmt.Errorf("endpoint %q: the port is not a number from 1 to 65535", endpoint)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("endpoint %q: has more than host, port and path", endpoint)
	}
	return nil
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// isRegistryID tells whether id is 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or a digit.
func isRegistryID(id string) bool {
	for i, r := range id {
		switch {
		case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', '0' <= r && r <= '9':
		case i > 0 && strings.ContainsRune("._-", r):
		default:
			return false
		}
	}
	return 1 <= len(id) && len(id) <= 64
}

// newHTTPClient makes the client that is used when none is given.
func newHTTPClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment,
			// A machine that is gone does not refuse a connection, it is silent. A second is plenty
			// for one that lives, and then it is the next node's turn.
			DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext,
			TLSHandshakeTimeout: 3 * time.Second,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 64, // callers are many, hosts are three
			IdleConnTimeout:     90 * time.Second,
		},
		// A cluster never redirects, and following what else does would turn a POST into a GET.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// path is where a route of the client's registry lies.
func (c *Client) path(route string) string {
	if c.registry == "" || c.registry == DefaultRegistry {
		return "/version" + route
	}
	return "/registries/" + c.registry + "/version" + route
}
