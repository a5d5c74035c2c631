package allium_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers is the floor plan of docs/architecture.md as data: imports go to a
// strictly lower number. A package that is not in it fails the build, so that
// every new room is given its place.
var layers = map[string]int{
	"cmd/allium":      99,
	"internal/daemon": 98,

	"internal/httpproxy": 95,
	"internal/i2ptunnel": 95,
	"internal/testnet":   96,

	"": 90,

	"internal/destination": 80,
	"internal/streaming":   80,
	"internal/datagram":    80,
	"internal/nettime":     80,
	"internal/portmap":     80,
	"internal/reseed":      80,

	"internal/reseedserver": 85,

	"internal/router":          70,
	"internal/netdb/query":     60,
	"internal/netdb/floodfill": 60,
	"internal/tunnel/transit":  52,
	"internal/tunnel/pool":     52,
	"internal/tunnel/build":    51,
	"internal/tunnel":          50,
	"internal/garlic":          50,
	"internal/transport":       42,
	"internal/transport/ntcp2": 41,
	"internal/transport/block": 40,
	"internal/transport/pace":  40,
	"internal/netdb":           30,
	"internal/profile":         30,
	"internal/naming":          30,
	"internal/i2np":            21,
	"internal/data":            20,
	"internal/su3":             20,
	"internal/noise":           10,
	"internal/elligator2":      10,
	"internal/signature":       10,
	"internal/x25519":          5,
	"internal/host":            0,
	"internal/store":           0,
	"internal/wire":            0,
	"internal/replay":          0,
	"internal/random":          0,
	"internal/bandwidth":       0,
	"internal/setting":         0,
	"internal/aesbatch":        0,
	"internal/sim":             testOnly,
	"internal/crowd":           testOnly,
	"internal/host/hosttest":   testOnly,
}

const (
	// line is where goroutines, sockets, clocks and files begin.
	line = 80
	// testOnly marks packages that only tests may import.
	testOnly = -1
)

// doors are the packages below the line that may touch the world.
var doors = []string{"internal/host", "internal/store"}

// publicOnly are applications: below the public API they may see only the
// ground packages listed here.
var publicOnly = map[string][]string{
	"internal/httpproxy": {"internal/setting"},
	"internal/i2ptunnel": {"internal/setting"},
}

// forbiddenImports below the line.
var forbiddenImports = []string{"net", "os", "math/rand", "math/rand/v2", "os/exec", "net/http", "syscall"}

// forbiddenClock are the functions of package time that read or wait for the
// clock.
var forbiddenClock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// forbiddenNames say nothing about what is inside.
var forbiddenNames = []string{"util", "utils", "common", "helper", "helpers", "misc", "manager", "base", "shared"}

const module = "allium"

type source struct {
	pkg  string // path within the module, "" for the root
	file string
	test bool
	ast  *ast.File
	fset *token.FileSet
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && p != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "tools") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(p))
		if pkg == "." {
			pkg = ""
		}
		all = append(all, source{pkg, filepath.ToSlash(p), strings.HasSuffix(name, "_test.go"), f, fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no sources found")
	}
	return all
}

// outsidePlan are the folders that hold tests and benchmarks of the whole.
func outsidePlan(pkg string) bool {
	return pkg == "interop" || pkg == "bench" || strings.HasPrefix(pkg, "interop/") || strings.HasPrefix(pkg, "bench/")
}

func imports(s source) []string {
	var all []string
	for _, spec := range s.ast.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		all = append(all, p)
	}
	return all
}

// within returns the module-relative path of an import, and whether it is of
// this module.
func within(imp string) (string, bool) {
	if imp == module {
		return "", true
	}
	return strings.CutPrefix(imp, module+"/")
}

func TestEveryPackageHasItsLayer(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources(t) {
		if outsidePlan(s.pkg) {
			continue
		}
		seen[s.pkg] = true
		if _, ok := layers[s.pkg]; !ok {
			t.Errorf("%s: package %q has no layer", s.file, s.pkg)
		}
	}
	for pkg := range layers {
		if !seen[pkg] {
			t.Errorf("package %q has a layer but no files", pkg)
		}
	}
}

func TestImportsGoStrictlyDown(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || outsidePlan(s.pkg) || layers[s.pkg] == testOnly {
			continue
		}
		for _, imp := range imports(s) {
			to, ours := within(imp)
			if !ours {
				continue
			}
			if layers[to] == testOnly {
				t.Errorf("%s imports %s, which only tests may", s.file, imp)
			}
			if layers[to] >= layers[s.pkg] {
				t.Errorf("%s (layer %d) imports %s (layer %d)", s.file, layers[s.pkg], imp, layers[to])
			}
			allowed, app := publicOnly[s.pkg]
			if app && to != "" && !slices.Contains(allowed, to) {
				t.Errorf("%s reaches below the public API: %s", s.file, imp)
			}
		}
	}
}

func TestBelowTheLineNothingTouchesTheWorld(t *testing.T) {
	for _, s := range sources(t) {
		layer := layers[s.pkg]
		if s.test || layer >= line || layer == testOnly || outsidePlan(s.pkg) || slices.Contains(doors, s.pkg) {
			continue
		}
		for _, imp := range imports(s) {
			if slices.Contains(forbiddenImports, imp) {
				t.Errorf("%s imports %s", s.file, imp)
			}
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine", s.fset.Position(n.Pos()))
			case *ast.SelectorExpr:
				x, ok := n.X.(*ast.Ident)
				if ok && x.Name == "time" && slices.Contains(forbiddenClock, n.Sel.Name) {
					t.Errorf("%s uses time.%s", s.fset.Position(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestEveryPackageTellsItsStoryOnce(t *testing.T) {
	stories := map[string]int{}
	for _, s := range sources(t) {
		if outsidePlan(s.pkg) || s.test {
			continue
		}
		stories[s.pkg] += 0
		if s.ast.Doc != nil {
			stories[s.pkg]++
		}
	}
	for pkg, n := range stories {
		if n != 1 {
			t.Errorf("package %q has %d package comments", pkg, n)
		}
	}
}

func TestEveryExportedIdentifierIsDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || outsidePlan(s.pkg) {
			continue
		}
		for _, d := range s.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && !ofUnexportedType(d) {
					t.Errorf("%s: %s has no comment", s.fset.Position(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				checkGroup(t, s, d)
			}
		}
	}
}

// ofUnexportedType tells methods that no other package can name.
func ofUnexportedType(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return false
	}
	e := d.Recv.List[0].Type
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if index, ok := e.(*ast.IndexExpr); ok {
		e = index.X
	}
	id, ok := e.(*ast.Ident)
	return ok && !id.IsExported()
}

func checkGroup(t *testing.T, s source, d *ast.GenDecl) {
	t.Helper()
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
				t.Errorf("%s: type %s has no comment", s.fset.Position(spec.Pos()), spec.Name.Name)
			}
		case *ast.ValueSpec:
			if spec.Names[0].IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
				t.Errorf("%s: %s has no comment", s.fset.Position(spec.Pos()), spec.Names[0].Name)
			}
		}
	}
}

func TestNamesSaySomething(t *testing.T) {
	for _, s := range sources(t) {
		file := strings.TrimSuffix(strings.TrimSuffix(path.Base(s.file), ".go"), "_test")
		for _, name := range []string{file, path.Base(s.pkg), s.ast.Name.Name} {
			if slices.Contains(forbiddenNames, name) {
				t.Errorf("%s: %q says nothing about what is inside", s.file, name)
			}
		}
	}
}
