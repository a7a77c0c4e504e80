package deb

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ba995850/overlap/deploy/internal/recipe"
)

// policy says to Debian's packages what they may start.
const policy = "/usr/sbin/policy-rc.d"

// install does what the README says, on a machine where systemd runs.
func install(t *testing.T) *recipe.Systemd {
	t.Helper()
	s := boot(t)
	recipe.Type(t, "Install")
	isInPlace(t, s, "1.0.0")
	return s
}

// boot boots a machine that has the packages, and where they may start something. In the
// end there is nothing of them.
func boot(t *testing.T) *recipe.Systemd {
	t.Helper()
	packages(t)
	s := recipe.BootSystemd(t)
	if err := os.RemoveAll(policy); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { purge(t) })
	return s
}

// packages makes those that the README names, once for all tests.
func packages(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(file("1.0.0")); err == nil {
		return
	}
	// No package may come from elsewhere; and man-db indexes all that is installed.
	recipe.Run(t, "rm", "-rf", "/var/lib/apt/lists", "/var/lib/man-db/auto-update")
	for _, version := range []string{"1.0.0", "1.1.0", "2.0.0~rc1"} {
		build(t, version)
	}
}

// build makes the package of a version, fast but large.
func build(t *testing.T, version string) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	recipe.Shell(t, "DPKG_DEB_COMPRESSOR_TYPE=gzip DPKG_DEB_COMPRESSOR_LEVEL=1 "+here+"/build.sh "+version)
	return file(version)
}

// file is the package of a version, at the workplace.
func file(version string) string {
	return filepath.Join(recipe.Workplace, fmt.Sprintf("overlap_%s_amd64.deb", version))
}

// repack makes another version of the package of 1.0.0, with another program if there is one.
func repack(t *testing.T, version, program string) string {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "tree")
	recipe.Run(t, "dpkg-deb", "--raw-extract", file("1.0.0"), tree)
	recipe.Run(t, "sed", "-i", `s/1\.0\.0/`+version+`/`, tree+"/DEBIAN/control", tree+"/DEBIAN/postinst")
	if program != "" {
		recipe.Write(t, tree+"/usr/lib/overlap/server", program, 0o755)
	}
	recipe.Run(t, "dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", tree, file(version))
	return file(version)
}

// purge is for those, too, that apt-get has never heard of.
func purge(t *testing.T) {
	t.Helper()
	recipe.Run(t, "dpkg", "--purge", "overlap")
}

func apt(t *testing.T, verb string, args ...string) string {
	t.Helper()
	return recipe.Run(t, "apt-get", append([]string{verb, "-y"}, args...)...)
}

// isInPlace says that a release serves, and that it is the only one that runs and that the
// next boot starts.
func isInPlace(t *testing.T, s *recipe.Systemd, release string) {
	t.Helper()
	if !recipe.Serving(release) {
		t.Errorf("%s does not serve", release)
	}
	want := "overlap@" + release + ".service"
	running := strings.Fields(s.Systemctl("list-units", "--state=active,activating,deactivating", "--plain", "--no-legend", "overlap@*"))
	if len(running) == 0 || running[0] != want || strings.Count(strings.Join(running, " "), "overlap@") != 1 {
		t.Errorf("%s should run alone, and there are %q", want, running)
	}
	enabled, _ := filepath.Glob("/etc/systemd/system/*.wants/overlap@*")
	if len(enabled) != 1 || filepath.Base(enabled[0]) != want {
		t.Errorf("%s should be enabled alone, and there are %q", want, enabled)
	}
}

// onDisk says that these releases can be started, and no others.
func onDisk(t *testing.T, releases ...string) {
	t.Helper()
	kept, _ := filepath.Glob("/usr/lib/overlap/releases/*/server")
	for i := range kept {
		kept[i] = filepath.Base(filepath.Dir(kept[i]))
	}
	if !slices.Equal(kept, releases) {
		t.Errorf("on disk should be %v, and there are %v", releases, kept)
	}
}

// files are all that bear the name, but for what dpkg and the journal write down.
func files(t *testing.T) string {
	t.Helper()
	return recipe.Run(t, "find", "/etc", "/run", "/usr/bin", "/usr/lib", "/usr/share", "/var/lib", "-path", "*overlap*", "-not", "-path", "/var/lib/dpkg/*")
}
