//go:build go1.27

package drain

// ownIsBare: HTTP/2 is not watched beside protocols of the user's own.
const ownIsBare = true
