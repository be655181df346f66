package powerloss

import "fmt"

// Loss is what a loss of power came to.
type Loss struct {
	Sectors int // of files, that had been written to and have their old content again
	Sizes   int // of files, that are what they were
	Names   int // in directories, that are what they were
	Kept    int // sectors that were not synced and are there all the same
}

// Any reports whether anything was lost.
func (l Loss) Any() bool { return l.Sectors+l.Sizes+l.Names > 0 }

// String tells what was lost.
func (l Loss) String() string {
	return fmt.Sprintf("%d sectors, %d sizes and %d names lost, %d unsynced sectors kept", l.Sectors, l.Sizes, l.Names, l.Kept)
}

// Add adds what another loss came to.
func (l *Loss) Add(more Loss) {
	l.Sectors += more.Sectors
	l.Sizes += more.Sizes
	l.Names += more.Names
	l.Kept += more.Kept
}
