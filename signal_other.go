//go:build !unix

package overlap

import "syscall"

// cutSignal does not exist here; this one is never sent.
const cutSignal = syscall.Signal(-1)
