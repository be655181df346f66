package chaos_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/internal/chaos"
)

// TestPlantedBugs has the harness find mistakes that nodes and stores could make, each by what
// it breaks, and each within some seeds of a second or so.
func TestPlantedBugs(t *testing.T) {
	const budget = 6 // seeds
	quorum := []string{chaos.FaultDeposed, chaos.FaultPause, chaos.FaultIsolated, chaos.FaultSplit}
	crashes := []string{chaos.FaultLeaderCrash, chaos.FaultFollowerCrash, chaos.FaultAllCrash}
	planted := []string{chaos.FaultPlanted}
	tests := []struct {
		name   string
		finds  []string // what a violation or a failure must say, one of these
		plant  func(*chaos.BumpOptions)
		faults []string
	}{
		{"acknowledged before it is committed", []string{"kept: "}, acknowledgeAtOnce, quorum},
		{"acknowledged before it is on disk", []string{"kept: ", "another state"}, writeLater, []string{chaos.FaultAllCrash}},
		{"unknown told as not applied", []string{"unapplied: ", "once: "}, claimNotApplied, crashes},
		{"read index without the quorum", []string{"ordered: "}, trustLeadership, quorum},
		{"read of a moment ago served as of now", []string{"ordered: "}, rememberReads, quorum},
		{"read of what is not committed", []string{"served: ", "ordered: "}, readTail, quorum},
		{"read one revision too early", []string{"served: "}, readTooEarly, crashes},
		{"cascade in parts", []string{"sequential: ", "kept: "}, splitCascade, crashes},
		{"key forgotten on a repeat", []string{"once: "}, forgetKeys, crashes},
		{"keys missing from snapshots", []string{"once: "}, loseKeys, crashes},
		{"record missing from snapshots", []string{"another state", "different states", "served: "}, loseRecord, crashes},
		{"If-Match ignored", []string{"conditional: "}, ignoreIfMatch, crashes},
		{"expected version ignored", []string{"conditional: "}, ignoreExpected, crashes},
		{"one answer for two", []string{"kept: "}, shareAnswers, crashes},
		{"signed with another key", []string{"signed: "}, signWrongly, crashes},
		{"late write not fenced", []string{"log entry", "another state", "kept: "}, abandonWrites, []string{chaos.FaultDiskStall, chaos.FaultDeposed, chaos.FaultRestart}},
		{"lost disk under the old name", []string{"kept: ", "another state"}, forgetVotes, planted},
		{"unknown told as not applied over HTTP", []string{"unapplied: "}, denyUnknown, []string{chaos.FaultNodeReset}},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			began := time.Now()
			for seed := range uint64(budget) {
				var r *chaos.Report
				synctest.Test(t, func(t *testing.T) {
					o := chaos.BumpOptions{
						Seed: uint64(100*i) + seed, Storms: 6, Faults: test.faults, Direct: 32, Think: 40 * time.Millisecond,
					}
					test.plant(&o)
					if o.Seams.Fault != nil {
						o.Storms = 3
					}
					r = chaos.RunBumps(t, o)
				})
				if found := finding(r, test.finds); found != nil {
					t.Logf("found with seed %d, in %v and %d operations: %v", seed, time.Since(began).Round(time.Millisecond), r.Operations(), found)
					return
				}
			}
			t.Errorf("the bug is not found with %d seeds", budget)
		})
	}
}

// finding returns a finding of a run that says one of some things, or nil.
func finding(r *chaos.Report, says []string) error {
	for _, err := range append(r.Violations, r.Failures...) {
		for _, what := range says {
			if strings.Contains(err.Error(), what) {
				return err
			}
		}
	}
	return nil
}

// TestNothingPlanted has the same runs find nothing where nothing is planted.
func TestNothingPlanted(t *testing.T) {
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			r := chaos.RunBumps(t, chaos.BumpOptions{Seed: seed, Storms: 6, Direct: 32, Think: 40 * time.Millisecond})
			for _, err := range append(r.Violations, r.Failures...) {
				t.Error(err)
			}
		})
	}
}
