package main

import "os"

// blinded returns the command that runs a program in a mount namespace in which /proc is empty, as
// it is for some containers: the same process, once it is exec'd. (In a user namespace, for
// whoever is not root.)
func blinded(program string, args []string) (string, []string) {
	unshare := []string{"--mount"}
	if os.Geteuid() != 0 {
		unshare = append(unshare, "--map-root-user")
	}
	unshare = append(unshare, "sh", "-c", `mount -t tmpfs none /proc && exec "$0" "$@"`, program)
	return "unshare", append(unshare, args...)
}
