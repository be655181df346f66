package main

import (
	"cmp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
)

// defaultEndpoints are the nodes of a cluster as the Procfile and dev start them.
const defaultEndpoints = "http://127.0.0.1:8001,http://127.0.0.1:8002,http://127.0.0.1:8003"

// tool holds the flags that tools have in common.
type tool struct {
	app       *app
	endpoints string
	registry  string
	timeout   time.Duration
	format    format
	key       string

	given func(flag string) bool
}

// tool adds the flags of a command that asks a cluster.
func (a *app) tool(c *cobra.Command) *tool {
	t := &tool{app: a, given: c.Flags().Changed}
	c.Flags().StringVar(&t.endpoints, "endpoints", "",
		"base `URLs` of the nodes, with commas between; also TESD_ENDPOINTS (default "+defaultEndpoints+")")
	c.Flags().StringVar(&t.registry, "registry", "",
		"`id` of the registry; also TESD_REGISTRY (default the cluster's default registry)")
	c.Flags().DurationVar(&t.timeout, "timeout", client.DefaultTimeout, "how long each call to the cluster may take, all its attempts together")
	suggestFlag(c, "registry", t.suggestRegistries)
	addFormat(c, &t.format)
	return t
}

// writer adds the flags of a command that changes a registry.
func (a *app) writer(c *cobra.Command) *tool {
	t := a.tool(c)
	c.Flags().StringVar(&t.key, "idempotency-key", "",
		"`key` under which the cluster applies this once, however often it is sent; also TESD_IDEMPOTENCY_KEY (default a new one)")
	return t
}

// addFormat adds the flag that selects how data is written.
func addFormat(c *cobra.Command, f *format) {
	*f = formatTable
	c.Flags().VarP(f, "output", "o", "how to write the data")
}

// endpointList is the nodes that the flags and the environment name.
func (t *tool) endpointList() (endpoints []string) {
	for endpoint := range strings.SplitSeq(cmp.Or(t.endpoints, t.app.getenv("TESD_ENDPOINTS"), defaultEndpoints), ",") {
		endpoints = append(endpoints, strings.TrimSpace(endpoint))
	}
	return endpoints
}

// client makes the client that the flags and the environment ask for.
func (t *tool) client() (*client.Client, error) {
	for name, value := range map[string]string{"endpoints": t.endpoints, "registry": t.registry} {
		if value == "" && t.given(name) {
			// Whoever passes a variable that happens to be empty would work on another registry, or cluster.
			return nil, usagef("--%s is empty; leave it out for the default", name)
		}
	}
	c, err := client.New(t.endpointList(),
		client.WithRegistry(cmp.Or(t.registry, t.app.getenv("TESD_REGISTRY"))), client.WithTimeout(t.timeout))
	if err != nil {
		return nil, usagef("%s", strings.ReplaceAll(strings.TrimPrefix(err.Error(), "making a tesd client: "), "\n", "; "))
	}
	return c, nil
}

// write makes the client, and the option that gives a write its key.
func (t *tool) write() (*client.Client, client.WriteOption, error) {
	key, err := t.idempotencyKey()
	if err != nil {
		return nil, nil, err
	}
	c, err := t.client()
	return c, key, err
}

// idempotencyKey returns the option that gives a write its key.
func (t *tool) idempotencyKey() (client.WriteOption, error) {
	key := cmp.Or(t.key, t.app.getenv("TESD_IDEMPOTENCY_KEY"))
	if t.given("idempotency-key") && t.key == "" {
		// Whoever passes a variable that happens to be empty counts on a key that is not there.
		return nil, usagef("--idempotency-key is empty; leave it out to have one made")
	}
	if key != "" {
		if err := fsm.CheckKey(key); err != nil {
			return nil, usagef("%v", err)
		}
	}
	return client.IdempotencyKey(key), nil
}

// replayed tells that an answer is one that was given before.
func (a *app) replayed(yes bool) {
	if yes {
		a.tell("The cluster had this idempotency key already; this is the answer it gave then.\n")
	}
}
