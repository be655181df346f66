package main

import (
	"fmt"
	"net/http"
	"time"
)

// bumping is the body of a request to raise an entity.
func bumping(entity string) []byte {
	return []byte(`{"scope":"patch","entityId":"` + entity + `"}`)
}

// expect sends a request that must be answered with 200.
func (w *worker) expect(node int, method, path string, body []byte, header ...string) ([]byte, error) {
	status, answer, err := w.do(node, method, path, body, header...)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s %s: status %d: %.200s", method, path, status, answer)
	}
	return answer, err
}

// bumps raises one of so many entities, through the leader or all nodes in turn.
func bumps(entities int, leader bool) func(*cluster) (operation, error) {
	return func(*cluster) (operation, error) {
		return func(w *worker) (int, error) {
			id := entityID
			if entities > 1 {
				id = spreadID(w.rng.IntN(entities))
			}
			node := 0
			if !leader {
				node = w.next()
			}
			_, err := w.expect(node, "POST", "/version/bump", bumping(id))
			return 0, err
		}, nil
	}
}

// keyed raises one of the entities, through all nodes in turn, under an idempotency key that no other request has, as
// long as those of the client.
func keyed(*cluster) (operation, error) {
	return func(w *worker) (int, error) {
		key := fmt.Sprintf("Idempotency-Key: bench-%09d-%020d", w.id, w.count)
		_, err := w.expect(w.next(), "POST", "/version/bump", bumping(spreadID(w.rng.IntN(spread))), key)
		return 0, err
	}, nil
}

// wide raises the entity that many others are linked to.
func wide(*cluster) (operation, error) {
	return func(w *worker) (int, error) {
		_, err := w.expect(0, "POST", "/version/bump", bumping(wideID))
		return 0, err
	}, nil
}

// beside has the first client do something else instead, once a second. That is not counted, but those of the others that
// are under way meanwhile are looked at.
func beside(prepare, another func(*cluster) (operation, error)) func(*cluster) (operation, error) {
	return func(c *cluster) (operation, error) {
		others, err := prepare(c)
		if err != nil {
			return nil, err
		}
		one, err := another(c)
		return func(w *worker) (int, error) {
			if w.id > 0 {
				return others(w)
			}
			<-time.After(time.Second)
			sent := time.Now()
			conflicts, err := one(w)
			w.aside = append(w.aside, w.since(sent))
			if err != nil {
				return conflicts, err
			}
			return 0, errUncounted
		}, err
	}
}

// applies puts as much as a bump is into the log of the reference, at its leader, in an entry of its own.
func applies(*cluster) (operation, error) { return puts("/apply"), nil }

// collects does the same in an entry that all share who wait.
func collects(*cluster) (operation, error) { return puts("/collect"), nil }

func puts(path string) operation {
	body := bumping(spreadID(0))
	return func(w *worker) (int, error) {
		_, err := w.expect(0, "POST", path, body)
		return 0, err
	}
}

// gets reads an entity from all nodes in turn.
func gets(query string) func(*cluster) (operation, error) {
	return func(*cluster) (operation, error) {
		return func(w *worker) (int, error) {
			_, err := w.expect(w.next(), "GET", "/version/entities/"+spreadID(w.rng.IntN(spread))+query, nil)
			return 0, err
		}, nil
	}
}
