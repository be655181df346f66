package main

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what is known of how the binary was made.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source
	Time     string `json:"time,omitempty"`     // of that revision
	Modified bool   `json:"modified,omitempty"` // the source differed from the revision
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (a *app) versionCommand() *cobra.Command {
	var f format
	c := &cobra.Command{
		Use:   "version [flags]",
		Short: "Show what this binary was built from",
		Long:  "Shows what this binary was built from and with. It asks no server.",
		Example: `  tesd version
  tesd version -o json`,
		Args: cobra.NoArgs,
	}
	addFormat(c, &f)
	return a.command(c, func(context.Context, []string) error {
		b := readBuild()
		return a.print(f, b, func(p *page) {
			pairs := []string{"tesd", b.Version}
			if b.Revision != "" {
				revision := b.Revision
				if b.Modified {
					revision += ", modified"
				}
				pairs = append(pairs, "revision", revision, "time", b.Time)
			}
			p.facts(append(pairs, "go", b.Go, "platform", b.Platform)...)
		})
	})
}

func readBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}
