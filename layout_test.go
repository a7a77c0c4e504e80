package overlap

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// homes says where a package may be imported: a folder, or one file.
var homes = map[string][]string{
	"github.com/libp2p/go-reuseport":                            {"internal/listen/"},
	"github.com/mdlayher/netlink":                               {"internal/listen/diag_linux.go"},
	"github.com/google/go-cmp/cmp":                              {"internal/drain/"}, // in tests
	"golang.org/x/net/http2":                                    {"bench/", "internal/drain/", "http2_linux_test.go"},
	"golang.org/x/net/http2/h2c":                                {"internal/drain/"}, // in tests
	"golang.org/x/net/http2/hpack":                              {"bench/", "internal/drain/"},
	"golang.org/x/sys/unix":                                     {"internal/listen/", "internal/drain/queues_linux.go", "bench/wire/", "bench/internal/cost/kernel_linux.go"},
	"github.com/gin-gonic/gin":                                  {"cmd/server/routes.go"},
	"github.com/spf13/viper":                                    {"cmd/server/config.go"},
	"github.com/fsnotify/fsnotify":                              {"cmd/server/watch.go"},
	"github.com/coder/websocket":                                {"cmd/server/socket", "bench/ws"},
	"github.com/spf13/cobra":                                    {"cmd/server/"},
	"github.com/spf13/pflag":                                    {"cmd/server/"},
	"github.com/mattn/go-isatty":                                {"cmd/server/log.go"},
	"github.com/rogpeppe/go-internal/testscript":                {"cmd/server/"}, // in tests
	"github.com/coreos/go-systemd/v22/daemon":                   {"cmd/server/notify.go"},
	"github.com/creack/pty":                                     {"cmd/server/hangup"}, // in tests
	"github.com/HdrHistogram/hdrhistogram-go":                   {"bench/internal/report/"},
	"github.com/ba995850/overlap/bench/internal/cost":           {"bench/cost.go"},
	"github.com/ba995850/overlap/bench/internal/evidence":       {"bench/"},
	"github.com/ba995850/overlap/bench/internal/group":          {"bench/"},
	"github.com/ba995850/overlap/bench/internal/peer":           {"bench/"},
	"github.com/ba995850/overlap/bench/internal/report":         {"bench/"},
	"github.com/ba995850/overlap/bench/internal/page":           {"bench/again.go"},
	"github.com/ba995850/overlap":                               {"cmd/server/"},
	"github.com/ba995850/overlap/bench/wire":                    {"bench/"},
	"github.com/ba995850/overlap/cmd/server/metrics":            {"cmd/server/"},
	"github.com/ba995850/overlap/internal/listen":               {"", "internal/doctor/"},
	"github.com/ba995850/overlap/internal/drain":                {""},
	"github.com/ba995850/overlap/internal/control":              {"", "cmd/server/", "internal/doctor/"},
	"github.com/ba995850/overlap/internal/doctor":               {"cmd/server/doctor"},
	"github.com/prometheus/client_golang/prometheus":            {"cmd/server/metrics/"},
	"github.com/prometheus/client_golang/prometheus/collectors": {"cmd/server/metrics/metrics.go"},
	"github.com/prometheus/client_golang/prometheus/promhttp":   {"cmd/server/metrics/metrics.go"},
	"github.com/prometheus/client_model/go":                     {"cmd/server/metrics/"},
	"github.com/prometheus/common/expfmt":                       {"cmd/server/metrics/"},
	"github.com/ba995850/overlap/internal/printable":            {"internal/holder/", "internal/control/", "cmd/server/output.go"},
	"github.com/ba995850/overlap/internal/holder":               {"internal/listen/", "internal/control/"},
	"golang.org/x/term":                                         {"cmd/server/screen.go"},
}

// mayImport says whether a file may import a package. The home "" is the root
// package.
func mayImport(file, pkg string) bool {
	if !strings.Contains(strings.Split(pkg, "/")[0], ".") {
		return true // the standard library
	}
	return slices.ContainsFunc(homes[pkg], func(home string) bool {
		if home == "" {
			return !strings.Contains(file, "/")
		}
		return strings.HasPrefix(file, home)
	})
}

// imports returns what each Go file of the module imports. A folder with a go.mod of
// its own is another module: what it imports is in no file that our users download.
func imports(t *testing.T) map[string][]string {
	found := make(map[string][]string)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != "." && exists(filepath.Join(path, "go.mod")) {
			return filepath.SkipDir
		}
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			pkg, _ := strconv.Unquote(spec.Path.Value)
			found[filepath.ToSlash(path)] = append(found[filepath.ToSlash(path)], pkg)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestEachModuleHasOneHome(t *testing.T) {
	for file, pkgs := range imports(t) {
		for _, pkg := range pkgs {
			test := strings.HasSuffix(file, "_test.go")
			if !mayImport(file, pkg) && !(test && pkg == "github.com/ba995850/overlap") {
				t.Errorf("%s imports %s, whose home is %q", file, pkg, homes[pkg])
			}
		}
	}
}

// A home that nobody lives in is a line that nobody reads.
func TestNoHomeIsEmpty(t *testing.T) {
	all := imports(t)
	for pkg := range homes {
		used := false
		for _, pkgs := range all {
			used = used || slices.Contains(pkgs, pkg)
		}
		if !used {
			t.Errorf("nobody imports %s any more", pkg)
		}
	}
}
