package main

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/wire"
)

func (a *app) diffCommand() *cobra.Command {
	var t *tool
	c := &cobra.Command{
		Use:     "diff FILE [flags]",
		GroupID: groupRead,
		Short:   "Compare a registry file with the cluster",
		Long: `Compares the registry in FILE with that of the cluster at one revision: which entities are
only in the file, which are only in the cluster, and in which fields the others differ, with
the value in the file and that in the cluster. FILE is JSON, an array of entities or an
object with "entities", such as "tesd export" writes; "-" is standard input. The order of
the entities does not count.

The exit code is 0 if both are the same and 1 if they differ. It is never 1 for anything
else: a file that cannot be read, and what other commands end with 1 for, is 2 as with
diff(1).`,
		Example: `  tesd diff registry.json
  tesd export --registry staging | tesd diff -
  tesd diff registry.json -o json | jq -r '.changed[].id'`,
		Args: cobra.ExactArgs(1),
	}
	t = a.tool(c)
	return a.command(c, func(ctx context.Context, args []string) error {
		d, err := t.diff(ctx, args[0])
		if err == nil {
			err = a.print(t.format, d, func(p *page) { p.difference(d) })
		}
		switch {
		case err != nil:
			return &troubleError{err}
		case !d.Same:
			return fmt.Errorf("%s differs from registry %s at revision %d", args[0], d.RegistryID, d.Revision)
		}
		return nil
	})
}

// difference is how the registry in a file and that in the cluster differ; entities by id.
type difference struct {
	RegistryID    string          `json:"registryId"`
	Revision      uint64          `json:"revision"`
	Same          bool            `json:"same"`
	OnlyInFile    []client.Entity `json:"onlyInFile"`
	OnlyInCluster []client.Entity `json:"onlyInCluster"`
	Changed       []changedEntity `json:"changed"`
}

// changedEntity is an entity that is on both sides, and differs.
type changedEntity struct {
	ID     string         `json:"id"`
	Fields []changedField `json:"fields"`
}

// changedField is a field by its JSON path, and its values; nil is what is absent or empty.
type changedField struct {
	Field   string `json:"field"`
	File    any    `json:"file"`
	Cluster any    `json:"cluster"`
}

// diff reads both sides and compares them.
func (t *tool) diff(ctx context.Context, path string) (difference, error) {
	raw, err := t.app.readInput(path)
	if err != nil {
		return difference{}, fmt.Errorf("reading the registry: %w", err)
	}
	entities, err := decodeRegistry(raw)
	if err == nil && len(entities) > 0 { // a registry may be empty, only there is no use in importing that
		err = checkRegistry(entities)
	}
	if err != nil {
		return difference{}, fmt.Errorf("%s: %w", path, err)
	}
	c, err := t.client()
	if err != nil {
		return difference{}, err
	}
	resp, err := c.Registry(ctx, client.RegistryOptions{})
	if err != nil {
		return difference{}, err
	}
	d := compare(wire.Entities(entities), resp.Entities)
	d.RegistryID, d.Revision = resp.RegistryID, resp.Revision
	return d, nil
}

// compare compares two sets of entities, in which each id stands once.
func compare(file, cluster []client.Entity) difference {
	d := difference{OnlyInFile: []client.Entity{}, OnlyInCluster: []client.Entity{}, Changed: []changedEntity{}}
	there := make(map[string]client.Entity, len(cluster))
	for _, e := range cluster {
		there[e.ID] = e
	}
	for _, e := range file {
		other, ok := there[e.ID]
		delete(there, e.ID)
		if !ok {
			d.OnlyInFile = append(d.OnlyInFile, e)
		} else if fields := changedFields("", reflect.ValueOf(e), reflect.ValueOf(other)); len(fields) > 0 {
			d.Changed = append(d.Changed, changedEntity{e.ID, fields})
		}
	}
	for _, e := range there {
		d.OnlyInCluster = append(d.OnlyInCluster, e)
	}
	byID := func(a, b client.Entity) int { return strings.Compare(a.ID, b.ID) }
	slices.SortFunc(d.OnlyInFile, byID)
	slices.SortFunc(d.OnlyInCluster, byID)
	slices.SortFunc(d.Changed, func(a, b changedEntity) int { return strings.Compare(a.ID, b.ID) })
	d.Same = len(d.OnlyInFile)+len(d.OnlyInCluster)+len(d.Changed) == 0
	return d
}

// changedFields compares two values of one type, which lie at a JSON path, in the order of
// their fields. It goes by the type of entities, so that a new field cannot be forgotten.
func changedFields(at string, file, cluster reflect.Value) []changedField {
	var changed []changedField
	switch file.Kind() {
	case reflect.Struct:
		for i := range file.NumField() {
			name, _, _ := strings.Cut(file.Type().Field(i).Tag.Get("json"), ",")
			if at != "" {
				name = at + "." + name
			}
			changed = append(changed, changedFields(name, file.Field(i), cluster.Field(i))...)
		}
	case reflect.Slice:
		for i := range max(file.Len(), cluster.Len()) {
			changed = append(changed, changedFields(fmt.Sprintf("%s[%d]", at, i), element(file, i), element(cluster, i))...)
		}
	default:
		if !file.Equal(cluster) {
			changed = append(changed, changedField{at, fieldValue(file), fieldValue(cluster)})
		}
	}
	return changed
}

// element returns an element of a list, or an empty one behind its end.
func element(list reflect.Value, i int) reflect.Value {
	if i < list.Len() {
		return list.Index(i)
	}
	return reflect.Zero(list.Type().Elem())
}

func fieldValue(v reflect.Value) any {
	if v.Kind() == reflect.String && v.Len() == 0 {
		return nil
	}
	return v.Interface()
}

// difference writes a row per difference. The values stand in the last column, unaligned:
// some are long.
func (p *page) difference(d difference) {
	var rows [][]string
	add := func(id, field string, file, cluster any) {
		rows = append(rows, []string{id, field, fieldText(file) + " → " + fieldText(cluster)})
	}
	for _, e := range d.OnlyInFile {
		add(e.ID, "only in the file", e.CurrentVersion, nil)
	}
	for _, e := range d.OnlyInCluster {
		add(e.ID, "only in the cluster", nil, e.CurrentVersion)
	}
	for _, e := range d.Changed {
		for _, f := range e.Fields {
			add(e.ID, f.Field, f.File, f.Cluster)
		}
	}
	slices.SortStableFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	if len(rows) > 0 {
		p.table([]string{"ENTITY", "FIELD", "FILE → CLUSTER"}, rows)
		p.gap()
	}
	verdict := "the same"
	if !d.Same {
		verdict = fmt.Sprintf("%d only in the file, %d only in the cluster, %d different",
			len(d.OnlyInFile), len(d.OnlyInCluster), len(d.Changed))
	}
	p.line("%s; registry %s is at revision %d", verdict, d.RegistryID, d.Revision)
}

// fieldText is a value in a table.
func fieldText(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case bool:
		return yesNo(v)
	}
	return fmt.Sprint(v)
}

// troubleError is why a comparison could not be made.
type troubleError struct{ err error }

func (e *troubleError) Error() string { return e.err.Error() }
func (e *troubleError) Unwrap() error { return e.err }
