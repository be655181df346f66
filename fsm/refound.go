package fsm

import (
	"errors"
	"slices"
)

// Refound makes the state that of a new cluster: what was restored from a backup must
// never be taken for the cluster that it was taken of. It is for a machine that
// [Restore] made, before it is part of any log. Transactions up to now stay those of the
// old cluster, with the same payloads and signatures.
func (m *Machine) Refound(clusterID string) error {
	was := m.cluster.ClusterID
	if was == "" {
		return errors.New("the snapshot is of a cluster that was never founded")
	}
	if clusterID == "" || clusterID == was {
		return errors.New("a new cluster needs an id of its own")
	}
	for _, id := range m.names {
		r, _ := m.registries.Get(id)
		r = m.writable(r)
		r.eras = slices.DeleteFunc(slices.Clone(r.eras), func(e era) bool { return e.last < r.oldest })
		last := uint64(0)
		if n := len(r.eras); n > 0 {
			last = r.eras[n-1].last
		}
		if r.revision > last {
			r.eras = append(r.eras, era{was, r.revision})
		}
	}
	m.cluster.ClusterID = clusterID
	return nil
}

// chain returns what the registry's transactions have in common.
func (r *registry) chain(clusterID string) chain { return chain{r.id, clusterID, r.eras} }
