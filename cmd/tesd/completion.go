package main

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func (a *app) completionCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "completion <bash|zsh|fish|powershell> [flags]",
		Short: "Write the script that completes commands in a shell",
		Long: `Writes the script that makes a shell complete commands, flags and their values. Ids of
entities, registries and nodes are those of the cluster that the command line or
TESD_ENDPOINTS names; when it does not answer within a second, nothing is suggested.

To try it in a shell that runs:
  bash        source <(tesd completion bash)      needs the package bash-completion
  zsh         source <(tesd completion zsh)       after: autoload -U compinit; compinit
  fish        tesd completion fish | source
  powershell  tesd completion powershell | Out-String | Invoke-Expression
To have it in every shell, put the script where the shell looks for them, as in the examples.`,
		Example: `  tesd completion bash > /etc/bash_completion.d/tesd
  tesd completion zsh > "${fpath[1]}/_tesd"
  tesd completion fish > ~/.config/fish/completions/tesd.fish`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
	}
	return a.command(c, func(_ context.Context, args []string) error {
		root := c.Root()
		write := map[string]func(io.Writer) error{
			"bash":       func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
			"zsh":        root.GenZshCompletion,
			"fish":       func(w io.Writer) error { return root.GenFishCompletion(w, true) },
			"powershell": root.GenPowerShellCompletionWithDesc,
		}[args[0]]
		if write == nil {
			return usagef("shell %q is not bash, zsh, fish or powershell", args[0])
		}
		var script bytes.Buffer
		if err := write(&script); err != nil {
			return fmt.Errorf("making the script: %w", err)
		}
		if _, err := a.stdout.Write(script.Bytes()); err != nil {
			return fmt.Errorf("writing the output: %w", err)
		}
		return nil
	})
}
