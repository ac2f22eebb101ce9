package cli

import (
	"context"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	watchQuiet   = 150 * time.Millisecond // without a change before they are reported
	watchPoll    = time.Second            // where the system tells of no changes
	watchRecheck = 5 * time.Second        // where it does: what it missed
)

// watcher reports when files change. It looks at folders, because editors
// replace files and some deployments replace a link above them, and it compares
// what stands at the paths, so that it does not matter how the change came about.
type watcher struct {
	// paths are files, and folders whose files count. They come and go with
	// generations, which is no change of files by itself.
	paths   func() []string
	changed func(paths []string) // called on the watcher's goroutine with those that did
	log     *slog.Logger
	quiet   time.Duration
	poll    time.Duration
	polling bool // never ask the system

	system *fsnotify.Watcher // nil: polling has to do

	mu   sync.Mutex
	seen stamps
}

// begin takes the first look; changes after it are reported once run is called.
func (w *watcher) begin() {
	if !w.polling {
		w.subscribe()
	}
	if w.poll == 0 {
		w.poll = watchRecheck
		if w.system == nil {
			w.poll = watchPoll
		}
	}
	w.look()
}

// look takes the first look at paths that are new, so that changes after it are
// reported. It may be called from any goroutine.
func (w *watcher) look() {
	w.follow()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		w.seen = make(stamps)
	}
	for _, path := range w.paths() {
		if _, known := w.seen[path]; !known {
			w.seen[path] = stampOne(path)
		}
	}
}

// run watches until ctx ends.
func (w *watcher) run(ctx context.Context) {
	var events <-chan fsnotify.Event
	if w.system != nil {
		defer w.system.Close()
		events = w.system.Events
	}
	tick := time.NewTicker(w.poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
		case <-tick.C:
		}
		w.follow()
		changed := w.settle(ctx, events, w.compare())
		if ctx.Err() != nil {
			return
		}
		if len(changed) > 0 {
			w.changed(changed)
		}
	}
}

// compare returns the paths that changed since the last look.
func (w *watcher) compare() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := stamp(w.paths())
	changed := now.changed(w.seen)
	w.seen = now
	return changed
}

// settle waits until nothing has changed for a while, because editors and
// compilers write in several steps, and returns all that did. What else goes on
// in the folders, such as a log that grows there, is passed over meanwhile.
func (w *watcher) settle(ctx context.Context, events <-chan fsnotify.Event, changed []string) []string {
	tick := time.NewTicker(w.quiet)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return changed
		case <-events:
			continue
		case <-tick.C:
		}
		w.renew()
		more := w.compare()
		if len(more) == 0 {
			slices.Sort(changed)
			return slices.Compact(changed)
		}
		changed = append(changed, more...)
	}
}

// subscribe asks the system to tell of changes, if it can.
func (w *watcher) subscribe() {
	system, err := fsnotify.NewWatcher()
	if err != nil {
		w.log.Warn("watch files by polling", "err", err)
		return
	}
	w.system = system
	// Errors are lost events, which the next look finds; unread they block.
	go func() {
		for range system.Errors {
		}
	}()
}

// follow asks for the folders that the paths stand in now.
func (w *watcher) follow() {
	if w.system == nil {
		return
	}
	for _, folder := range folders(w.paths()) {
		// A folder that is not there yet is found by a later look.
		_ = w.system.Add(folder)
	}
}

// renew asks anew: a folder that was replaced by one of the same name would
// else stay the old one to the system.
func (w *watcher) renew() {
	if w.system == nil {
		return
	}
	for _, folder := range w.system.WatchList() {
		_ = w.system.Remove(folder) // it may be gone
	}
	w.follow()
}

// folders returns the folders whose entries decide what stands at the paths.
func folders(paths []string) []string {
	var all []string
	for _, path := range paths {
		all = append(all, filepath.Dir(path))
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
			all = append(all, filepath.Dir(path))
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			all = append(all, path)
		}
	}
	return all
}

// stamps tell one content of the watched paths from another: by path, then by
// file, which is the path itself unless that is a folder.
type stamps map[string]map[string]fs.FileInfo

func stamp(paths []string) stamps {
	all := make(stamps, len(paths))
	for _, path := range paths {
		all[path] = stampOne(path)
	}
	return all
}

// stampOne looks at a file, or at the files in a folder.
func stampOne(path string) map[string]fs.FileInfo {
	files := make(map[string]fs.FileInfo)
	info, err := os.Stat(path)
	if err != nil {
		return files
	}
	if !info.IsDir() {
		files[path] = info
		return files
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return files
	}
	for _, entry := range entries {
		file := filepath.Join(path, entry.Name())
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			files[file] = info
		}
	}
	return files
}

// changed returns the paths that are in both and have another content.
func (s stamps) changed(before stamps) []string {
	var paths []string
	for path, files := range s {
		if old, known := before[path]; known && !maps.EqualFunc(files, old, sameContent) {
			paths = append(paths, path)
		}
	}
	return paths
}

func sameContent(a, b fs.FileInfo) bool {
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && os.SameFile(a, b)
}
