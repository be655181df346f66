package httpapi

import (
	"net/http/httptest"
	"testing"
)

// TestRoutesFoundAtOnce has the quick way to a route and the one that looks at every segment agree.
func TestRoutesFoundAtOnce(t *testing.T) {
	quick, slow := newTable(), newTable()
	slow.plain, slow.open = nil, nil
	quickly := 0
	for _, path := range []string{
		"/livez", "/livez/", "/version/bump", "/version//bump", "/version/entities", "/version/entities/", "/version/entities/api:a", "/version/entities/api:a/",
		"/version/entities/api:a/b", "/version/entities//api:a", "/version/entities/.", "/version/entities/..", "/version/entities/.a", "/version/entities/a%20b",
		"/version/entities/a%2Fb", "/version/entities/%61", "/version/entities/%2e", "/version/entities/%C3%A4", "/version/entities/a;b", "/version/entities/a:b@c",
		"/version/entitiesa", "/VERSION/entities/a", "/registries/r/version/entities/a", "/cluster/nodes/n1", "/cluster/nodes/n1/a", "/version/receipts/7",
	} {
		found := func(table table) (line, tail, registry string, fault error) {
			c := &call{r: httptest.NewRequest("GET", path, nil)}
			c.w = httptest.NewRecorder()
			if fault = table.find(c, "r"); c.route != nil {
				line = c.route.pattern
			}
			return line, c.tail, c.registry, fault
		}
		if l, _ := quick.atOnce(httptest.NewRequest("GET", path, nil).URL); l != nil {
			quickly++
		}
		line, tail, registry, fault := found(quick)
		wantLine, wantTail, wantRegistry, wantFault := found(slow)
		if line != wantLine || tail != wantTail || registry != wantRegistry || (fault == nil) != (wantFault == nil) {
			t.Errorf("%s is %q with %q of %q (%v); want %q with %q of %q (%v)", path, line, tail, registry, fault, wantLine, wantTail, wantRegistry, wantFault)
		}
	}
	if quickly < 5 {
		t.Errorf("%d of the paths were found at once", quickly)
	}
}
