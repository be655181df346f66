package main

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// app is what a command may use of the world.
type app struct {
	environ []string                 // of the process, for those that it starts
	getenv  func(name string) string // "" for what is not set
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer

	started bool // a command was found and its flags and arguments accepted
}

// run carries out one command line and returns the exit code. It ends early, in good
// order, when ctx ends.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	env := make(map[string]string, len(environ))
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	a := &app{
		environ: environ, getenv: func(name string) string { return env[name] },
		stdin: stdin, stdout: stdout, stderr: stderr,
	}
	root := a.rootCommand()
	root.SetArgs(append([]string{}, args...)) // of nil, cobra would take the process's own
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	return a.exit(command, err)
}

// rootCommand builds the whole tree of commands.
func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "tesd",
		Short: "A replicated registry of versions",
		Long: `tesd keeps the versions of a project's parts in a registry that survives the loss of
a node: raising one raises all that moves with it, in one signed transaction.

To try it, run "tesd dev". To run a cluster, start "tesd serve" on three machines. All
other commands are tools: they talk to any node of the cluster at --endpoints.

On a terminal, tables are cut to its width; -o json and what goes through a pipe have all.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 conflict, 5 unavailable,
6 not allowed, 7 outcome unknown, 8 verification failed, 9 disk failed,
10 the state of a node is wrong.`,
		Example: `  tesd dev
  tesd bump patch component:booking-service --dry-run
  tesd history --last 10`,
		SilenceErrors: true, // exit tells them, once
		SilenceUsage:  true,
	}
	root.AddGroup(
		&cobra.Group{ID: groupServer, Title: "Servers:"},
		&cobra.Group{ID: groupWrite, Title: "Changing a registry:"},
		&cobra.Group{ID: groupRead, Title: "Reading a registry:"},
		&cobra.Group{ID: groupOffline, Title: "Checking:"},
	)
	root.AddCommand(
		a.serveCommand(), a.devCommand(), a.nodeCommand(), a.backupCommand(), a.restoreCommand(),
		a.bumpCommand(), a.batchCommand(), a.putCommand(), a.deleteCommand(), a.migrateCommand(),
		a.getCommand(), a.listCommand(), a.historyCommand(), a.watchCommand(), a.exportCommand(), a.diffCommand(),
		a.registriesCommand(), a.statusCommand(),
		a.validateCommand(), a.verifyCommand(),
		a.versionCommand(), a.completionCommand(),
	)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp) // most values are no files
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Example = "  tesd help node add"
		help.Run = nil
		a.command(help, func(_ context.Context, topic []string) error { return helpOn(root, topic) })
	}
	return root
}

// helpOn shows the help of a command. Cobra's own takes a topic that there is not for done.
func helpOn(root *cobra.Command, topic []string) error {
	command, rest, err := root.Find(topic)
	if err != nil || len(rest) > 0 {
		return usagef("there is no command %q", "tesd "+strings.Join(topic, " "))
	}
	command.InitDefaultHelpFlag()
	return command.Help()
}

// The groups in which help lists the commands.
const (
	groupServer  = "server"
	groupWrite   = "write"
	groupRead    = "read"
	groupOffline = "offline"
)

// command completes a command: what it does runs only once its flags and arguments were
// accepted, so that every error before that is one of usage.
func (a *app) command(c *cobra.Command, do func(ctx context.Context, args []string) error) *cobra.Command {
	c.DisableFlagsInUseLine = true
	suggestByName(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		a.started = true
		return do(c.Context(), args)
	}
	return c
}

// readInput returns what a file holds; "-" is standard input.
func (a *app) readInput(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(a.stdin)
	}
	return os.ReadFile(path)
}
