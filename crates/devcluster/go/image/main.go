// Command image writes what the operator's image holds: as an OCI image layout, or as a tree of files for who has a
// container engine. One table of files and one configuration stand behind both.
//
// The same input gives the same bytes: names are sorted, times are told, and the compressor is pinned by go.sum, unlike
// that of the standard library, which changes with Go.
package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/klauspost/compress/gzip"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	program = "dialer-operator"
	user    = "65532:65532"
	usage   = `image layout --out DIR --epoch SECONDS [--label KEY=VALUE]... ARCH=PROGRAM...
image tree --out DIR PROGRAM
image check DIR
image sbom PACKAGES BILL`
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "image: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("no command; these are accepted:\n" + usage)
	}
	switch flags := parse(args[1:]); args[0] {
	case "layout":
		return writeLayout(flags)
	case "tree":
		return writeTree(flags)
	case "check":
		return check(flags)
	case "sbom":
		return reduce(flags)
	default:
		return fmt.Errorf("%q is no command; these are accepted:\n%s", args[0], usage)
	}
}

type options struct {
	out    string
	epoch  int64
	labels map[string]string
	rest   []string
}

func parse(args []string) options {
	given := options{labels: map[string]string{}}
	flags := flag.NewFlagSet("image", flag.ExitOnError)
	flags.StringVar(&given.out, "out", "", "the folder to write, which must not exist")
	flags.Int64Var(&given.epoch, "epoch", 0, "the time of every file, in seconds")
	flags.Func("label", "KEY=VALUE", func(text string) error {
		key, value, found := strings.Cut(text, "=")
		if !found || value == "" {
			return errors.New("KEY=VALUE is accepted")
		}
		given.labels[key] = value
		return nil
	})
	_ = flags.Parse(args) // ExitOnError
	given.rest = flags.Args()
	return given
}

// A file of the image, or a folder where data is nil.
type file struct {
	name string
	mode int64
	data []byte
}

// All that the image holds: no shell, no libraries, no package manager.
func files(programPath string) ([]file, error) {
	binary, err := os.ReadFile(programPath)
	if err != nil {
		return nil, err
	}
	return []file{
		{program, 0o755, binary},
		{"etc/", 0o755, nil},
		{"etc/group", 0o644, []byte("root:x:0:\nnonroot:x:65532:\n")},
		// The C library's own order would do; this one is independent of its version.
		{"etc/nsswitch.conf", 0o644, []byte("hosts: files dns\n")},
		{"etc/passwd", 0o644, []byte("root:x:0:0:root:/:/nonexistent\nnonroot:x:65532:65532:nonroot:/:/nonexistent\n")},
		{"etc/ssl/", 0o755, nil},
		{"etc/ssl/certs/", 0o755, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, roots()},
	}, nil
}

// The roots that Mozilla trusts, as go.sum pins them, never those of the machine that builds. A root that is trusted only for
// certificates issued before some day is left out, since a PEM file can't say so.
func roots() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // A buffer takes all.
		}
	}
	return text.Bytes()
}

func writeTree(given options) error {
	if given.out == "" || len(given.rest) != 1 {
		return errors.New("accepted is:\n" + usage)
	}
	all, err := files(given.rest[0])
	if err != nil {
		return err
	}
	for _, file := range all {
		path := filepath.Join(given.out, file.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if file.data == nil {
			continue
		}
		if err := os.WriteFile(path, file.data, os.FileMode(file.mode)); err != nil {
			return err
		}
	}
	return nil
}

func writeLayout(given options) error {
	if given.out == "" || len(given.rest) == 0 {
		return errors.New("accepted is:\n" + usage)
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, each := range given.rest {
		arch, path, found := strings.Cut(each, "=")
		if !found {
			return fmt.Errorf("%q is no program; ARCH=PROGRAM is accepted", each)
		}
		image, err := build(arch, path, given)
		if err != nil {
			return err
		}
		platform := &v1.Platform{OS: "linux", Architecture: arch}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	if err := os.Mkdir(given.out, 0o755); err != nil {
		return err
	}
	folder, err := layout.Write(given.out, empty.Index)
	if err != nil {
		return err
	}
	// One entry, an index of its own: that is what registries hold, and what tools that copy a layout look for.
	name := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": given.labels[versionLabel]})
	if err := folder.AppendIndex(index, name); err != nil {
		return err
	}
	return check(options{rest: []string{given.out}})
}

const versionLabel = "org.opencontainers.image.version"

func build(arch, path string, given options) (v1.Image, error) {
	all, err := files(path)
	if err != nil {
		return nil, err
	}
	created := time.Unix(given.epoch, 0).UTC()
	packed, err := pack(all, created)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil },
		tarball.WithMediaType(types.OCILayer),
	)
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(base, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: created}, CreatedBy: "make image"},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", arch, v1.Time{Time: created}
	config.Config = v1.Config{
		User:       user,
		Entrypoint: []string{"/" + program},
		WorkingDir: "/",
		Labels:     given.labels,
	}
	return mutate.ConfigFile(image, config)
}

func pack(all []file, at time.Time) ([]byte, error) {
	var packed bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	archive := tar.NewWriter(compressed)
	for _, file := range all {
		header := &tar.Header{Name: file.name, Mode: file.mode, Size: int64(len(file.data)), ModTime: at, Format: tar.FormatUSTAR}
		header.Typeflag = tar.TypeReg
		if file.data == nil {
			header.Typeflag = tar.TypeDir
		}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(file.data); err != nil {
			return nil, err
		}
	}
	err = errors.Join(archive.Close(), compressed.Close()) // Before what they flushed is read.
	return packed.Bytes(), err
}

// Reads every blob of a layout and holds it against its digest, and says what there is.
func check(given options) error {
	if len(given.rest) != 1 {
		return errors.New("accepted is:\n" + usage)
	}
	index, err := layout.ImageIndexFromPath(given.rest[0])
	if err != nil {
		return err
	}
	if err := validate.Index(index); err != nil {
		return err
	}
	top, err := index.IndexManifest()
	if err != nil {
		return err
	}
	for _, entry := range top.Manifests {
		if err := tell(index, entry); err != nil {
			return err
		}
	}
	return nil
}

func tell(parent v1.ImageIndex, entry v1.Descriptor) error {
	index, err := parent.ImageIndex(entry.Digest)
	if err != nil {
		return err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	fmt.Printf("index %s\n", entry.Digest)
	for _, each := range manifest.Manifests {
		image, err := index.Image(each.Digest)
		if err != nil {
			return err
		}
		compressed, unpacked, err := sizes(image)
		if err != nil {
			return err
		}
		fmt.Printf("%s %s compressed=%d unpacked=%d\n", each.Platform, each.Digest, compressed, unpacked)
	}
	return nil
}

func sizes(image v1.Image) (compressed, unpacked int64, err error) {
	layers, err := image.Layers()
	if err != nil {
		return 0, 0, err
	}
	for _, layer := range layers {
		size, err := layer.Size()
		if err != nil {
			return 0, 0, err
		}
		content, err := layer.Uncompressed()
		if err != nil {
			return 0, 0, err
		}
		plain, err := io.Copy(io.Discard, content)
		if err := errors.Join(err, content.Close()); err != nil {
			return 0, 0, err
		}
		compressed, unpacked = compressed+size, unpacked+plain
	}
	return compressed, unpacked, nil
}
