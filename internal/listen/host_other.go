//go:build !linux

package listen

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// LookAtHost finds nothing to look at.
func LookAtHost(context.Context) Host {
	return Host{Tier: Tier{Why: "overlap needs Linux, this is " + runtime.GOOS}}
}

// LookAt finds nothing to look at.
func LookAt(context.Context, string, string) (Place, error) {
	return Place{}, fmt.Errorf("overlap needs Linux, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
