package main

import "fmt"

// didYouMean is the end of an error about an unknown word: the known one that
// it was probably meant to be, or nothing.
func didYouMean(word string, known []string) string {
	best, least := "", 3 // three slips of the finger are another word
	for _, k := range known {
		if d := distance(word, k); d < least && d < len(word) {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance is how many letters must be put in, taken out or replaced to make b
// of a (Levenshtein). row holds the distances from the beginning of a that has
// been read so far to each beginning of b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
