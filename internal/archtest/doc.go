// Package archtest holds the project to its own architecture: which package may
// import which, what the state machine must do without, and the habits that keep
// files readable. It has no code of its own, only tests, which parse the module's
// sources and name file, line and remedy for whatever breaks a rule.
//
// To change a rule, change it here in the same commit as the code that needs it.
package archtest
