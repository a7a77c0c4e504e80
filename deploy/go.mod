// The tests of the recipes. A module of its own, so that what they import is in no file
// that users of the library download.
module github.com/ba995850/overlap/deploy

go 1.26.0

require golang.org/x/sys v0.49.0
