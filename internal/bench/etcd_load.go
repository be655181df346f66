package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// swaps raises a version under one of so many keys of etcd, by comparing and swapping, through all nodes in
// turn. A client begins with what the others are known to have written, which those of separate jobs would have to read
// first; one that was too late is told the value by the same transaction, and tries again with that.
func swaps(keys int) func(*cluster) (operation, error) {
	return func(*cluster) (operation, error) {
		var mu sync.Mutex
		values := make([]int, keys)
		raise := func(key, n int) { // to what somebody has seen
			mu.Lock()
			defer mu.Unlock()
			values[key] = max(values[key], n)
		}
		return func(w *worker) (conflicts int, err error) {
			i := w.rng.IntN(keys)
			mu.Lock()
			from := values[i]
			mu.Unlock()
			for {
				value, ok, err := swap(w, spreadID(i), from)
				if err != nil {
					return conflicts, err
				}
				raise(i, value)
				if ok {
					return conflicts, nil
				}
				conflicts++
				from = value
			}
		}, nil
	}
}

// swap puts the version after from under a key that has from. It returns what is there now, and whether this put it there.
func swap(w *worker, key string, from int) (value int, ok bool, err error) {
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	key = encode(key)
	compare := `{"target":"VALUE","result":"EQUAL","key":"` + key + `","value":"` + encode(version(from)) + `"}`
	if from == 0 {
		compare = `{"target":"CREATE","result":"EQUAL","key":"` + key + `","createRevision":"0"}`
	}
	answer, err := w.expect(w.next(), "POST", "/v3/kv/txn", []byte(`{"compare":[`+compare+`],"success":[{"requestPut":{"key":"`+
		key+`","value":"`+encode(version(from+1))+`"}}],"failure":[{"requestRange":{"key":"`+key+`"}}]}`))
	if err != nil {
		return 0, false, err
	}
	var done struct {
		Succeeded bool
		Responses []struct {
			Range struct {
				Kvs []struct{ Value []byte }
			} `json:"response_range"`
		}
	}
	if err := json.Unmarshal(answer, &done); err != nil {
		return 0, false, fmt.Errorf("reading the answer of etcd: %w", err)
	}
	if done.Succeeded {
		return from + 1, true, nil
	}
	if len(done.Responses) != 1 || len(done.Responses[0].Range.Kvs) != 1 {
		return 0, false, fmt.Errorf("etcd does not say what is there: %.200s", answer)
	}
	value, err = strconv.Atoi(strings.TrimPrefix(string(done.Responses[0].Range.Kvs[0].Value), version0))
	if err != nil {
		return 0, false, fmt.Errorf("reading the value that etcd has: %w", err)
	}
	return value, false, nil
}

const version0 = "1.0."

func version(n int) string { return version0 + strconv.Itoa(n) }

// ranges reads one of so many keys of etcd, linearizably, from all nodes in turn.
func ranges(keys int) func(*cluster) (operation, error) {
	return func(c *cluster) (operation, error) {
		w := &worker{urls: []string{c.nodes[0].url}, conns: make([]*httpConn, 1)}
		body := make([][]byte, keys)
		value := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 350))) // as much as an entity
		for i := range keys {
			key := base64.StdEncoding.EncodeToString([]byte(spreadID(i)))
			if _, err := w.expect(0, "POST", "/v3/kv/put", []byte(`{"key":"`+key+`","value":"`+value+`"}`)); err != nil {
				return nil, err
			}
			body[i] = []byte(`{"key":"` + key + `"}`)
		}
		w.conns[0].close()
		return func(w *worker) (int, error) {
			_, err := w.expect(w.next(), "POST", "/v3/kv/range", body[w.rng.IntN(keys)])
			return 0, err
		}, nil
	}
}
