//go:build !unix

package main

import "github.com/hashicorp/go-hclog"

// watchLogLevel does nothing: this system has no signals for it.
func watchLogLevel(hclog.Logger, hclog.Level) (stop func()) { return func() {} }
