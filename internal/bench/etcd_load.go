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
// turn. The clients know at once what the others have written: that is as few conflicts as there can be.
func swaps(keys int) func(*cluster) (operation, error) {
	return func(*cluster) (operation, error) {
		var mu sync.Mutex
		values := make([]int, keys)
		put := func(w *worker, key string, from, to int) (bool, error) {
			encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
			compare := `{"target":"VALUE","result":"EQUAL","key":"` + encode(key) + `","value":"` + encode(version(from)) + `"}`
			if from == 0 {
				compare = `{"target":"CREATE","result":"EQUAL","key":"` + encode(key) + `","createRevision":"0"}`
			}
			answer, err := w.expect(w.next(), "POST", "/v3/kv/txn", []byte(`{"compare":[`+compare+`],"success":[{"requestPut":{"key":"`+
				encode(key)+`","value":"`+encode(version(to))+`"}}]}`))
			if err != nil {
				return false, err
			}
			var done struct{ Succeeded bool }
			if err := json.Unmarshal(answer, &done); err != nil {
				return false, fmt.Errorf("reading the answer of etcd: %w", err)
			}
			return done.Succeeded, nil
		}
		return func(w *worker) (conflicts int, err error) {
			i := w.rng.IntN(keys)
			for {
				mu.Lock()
				from := values[i]
				mu.Unlock()
				ok, err := put(w, spreadID(i), from, from+1)
				if err != nil {
					return conflicts, err
				}
				if ok {
					mu.Lock()
					values[i] = max(values[i], from+1)
					mu.Unlock()
					return conflicts, nil
				}
				conflicts++
			}
		}, nil
	}
}

func version(n int) string { return "1.0." + strconv.Itoa(n) }

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
