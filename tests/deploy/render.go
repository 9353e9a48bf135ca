// SPDX-License-Identifier: Apache-2.0

// render: what Helm makes of a chart, as far as ours uses Helm: text/template with toJson, .Values, .Chart
// and .Release. And YAML as JSON, so that jq can compare.
//
//	render chart DIR [KEY=VALUE...]   the chart's objects; KEY is a path such as image.tag, VALUE is YAML
//	render json FILE...               the objects of manifests
//
// Both print one object a line, as JSON. An empty document is left out, as kubectl and Helm do.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"gopkg.in/yaml.v3"
)

func die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

func toJSON(v interface{}) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

func load(file string) map[string]interface{} {
	var v map[string]interface{}
	text, err := os.ReadFile(file)
	die(err)
	die(yaml.Unmarshal(text, &v))
	return v
}

func set(values map[string]interface{}, path, text string) {
	var v interface{}
	die(yaml.Unmarshal([]byte(text), &v))
	keys := strings.Split(path, ".")
	for _, k := range keys[:len(keys)-1] {
		next, ok := values[k].(map[string]interface{})
		if !ok {
			die(fmt.Errorf("no value %s", path))
		}
		values = next
	}
	if _, known := values[keys[len(keys)-1]]; !known {
		die(fmt.Errorf("no value %s", path))
	}
	values[keys[len(keys)-1]] = v
}

func objects(name string, text []byte) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var v interface{}
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			die(fmt.Errorf("%s: %w\n%s", name, err, text))
		}
		if v != nil {
			line, err := toJSON(v)
			die(err)
			fmt.Println(line)
		}
	}
}

func chart(dir string, settings []string) {
	values := load(filepath.Join(dir, "values.yaml"))
	about := map[string]interface{}{}
	for k, v := range load(filepath.Join(dir, "Chart.yaml")) {
		about[strings.ToUpper(k[:1])+k[1:]] = v
	}
	for _, s := range settings {
		key, value, found := strings.Cut(s, "=")
		if !found {
			die(fmt.Errorf("'%s' is not KEY=VALUE", s))
		}
		set(values, key, value)
	}
	data := map[string]interface{}{"Values": values, "Chart": about,
		"Release": map[string]interface{}{"Name": "podwire", "Namespace": "kube-system", "Service": "Helm"}}
	files, err := filepath.Glob(filepath.Join(dir, "templates", "*.yaml"))
	die(err)
	for _, f := range files {
		text, err := os.ReadFile(f)
		die(err)
		t, err := template.New(f).Option("missingkey=error").Funcs(template.FuncMap{"toJson": toJSON}).Parse(string(text))
		die(err)
		var out bytes.Buffer
		die(t.Execute(&out, data))
		objects(f, out.Bytes())
	}
}

func main() {
	switch {
	case len(os.Args) >= 3 && os.Args[1] == "chart":
		chart(os.Args[2], os.Args[3:])
	case len(os.Args) >= 3 && os.Args[1] == "json":
		for _, f := range os.Args[2:] {
			text, err := os.ReadFile(f)
			die(err)
			objects(f, text)
		}
	default:
		fmt.Fprintln(os.Stderr, "usage: render chart DIR [KEY=VALUE...] | render json FILE...")
		os.Exit(2)
	}
}
