package doctor

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/ba995850/overlap/internal/listen"
)

// version is that of a kernel as kernel.org counts.
type version struct{ major, minor, patch int }

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch) }

func (v version) less(major, minor, patch int) bool {
	return cmp.Or(cmp.Compare(v.major, major), cmp.Compare(v.minor, minor), cmp.Compare(v.patch, patch)) < 0
}

// versionOf reads what the kernel says of itself. Debian and Ubuntu have an ABI in the
// place of the patch, and name the true version elsewhere.
func versionOf(k listen.Kernel) (v version, known bool) {
	for _, text := range []string{lastWord(k.Signature), debian(k.Build), k.Release} {
		if m := regexp.MustCompile(`^(\d+)\.(\d+)(?:\.(\d+))?`).FindStringSubmatch(text); m != nil {
			v.major, _ = strconv.Atoi(m[1])
			v.minor, _ = strconv.Atoi(m[2])
			v.patch, _ = strconv.Atoi(m[3])
			return v, true
		}
	}
	return v, false
}

func lastWord(text string) string {
	words := strings.Fields(text)
	if len(words) == 0 {
		return ""
	}
	return words[len(words)-1]
}

// debian finds the version in "#1 SMP PREEMPT_DYNAMIC Debian 6.1.148-1 (2025-08-26)".
func debian(build string) string {
	_, version, _ := strings.Cut(build, "Debian ")
	return version
}

// mended are the first stable releases with 3864c6ba1e04 ("call sk_data_ready() after
// listener migration"). Before 5.14 nothing is migrated, from 7.1 on all have it.
var mended = []version{{5, 15, 209}, {6, 1, 175}, {6, 6, 140}, {6, 12, 86}, {6, 18, 27}, {7, 0, 4}}

// forgetsToWake says whether a kernel has CVE-2026-46015.
func (v version) forgetsToWake() bool {
	if v.less(5, 14, 0) || !v.less(7, 1, 0) {
		return false
	}
	for _, m := range mended {
		if v.major == m.major && v.minor == m.minor {
			return v.less(m.major, m.minor, m.patch)
		}
	}
	return true
}

func mendedIn() string {
	texts := make([]string, len(mended))
	for i, v := range mended {
		texts[i] = v.String()
	}
	return strings.Join(texts, ", ") + " and 7.1 have it mended"
}

// isGVisor knows the kernel that gVisor claims to be.
func isGVisor(k listen.Kernel) bool {
	return strings.Contains(strings.ToLower(k.Release+k.Build), "gvisor") ||
		k.Release == "4.4.0" && strings.Contains(k.Build, "Sun Jan 10 15:06:54 PST 2016")
}
