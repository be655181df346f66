package main

import "context"

// ask has workers send requests to some of a site's nodes in turn.
func (s *site) ask(ctx context.Context, nodes []int, request func(w *worker) (method, path string, body []byte)) operation {
	return func(w *worker) (int, error) {
		node := nodes[w.next()%len(nodes)]
		if w.conns[node] == nil {
			conn, err := s.connect(ctx, s.nodes[node])
			if err != nil {
				return 0, err
			}
			w.conns[node] = conn
		}
		method, path, body := request(w)
		_, err := w.expect(node, method, path, body)
		return 0, err
	}
}

// bump raises one of the entities.
func bump(w *worker) (method, path string, body []byte) {
	return "POST", "/version/bump", bumping(spreadID(w.rng.IntN(spread)))
}

// read reads one of the entities.
func read(query string) func(w *worker) (method, path string, body []byte) {
	return func(w *worker) (string, string, []byte) {
		return "GET", "/version/entities/" + spreadID(w.rng.IntN(spread)) + query, nil
	}
}
