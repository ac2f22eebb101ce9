package manifest

import "reflect"

// endpointsFile is the file that Discovery.File names.
type endpointsFile struct {
	Endpoints []Endpoint `toml:"endpoints"`
}

// LoadEndpoints reads the file that Discovery.File names: endpoints, in the same
// forms as in an upstream. It may list none. What is wrong in it is a Problems;
// any other error says why the file could not be read.
func LoadEndpoints(path string) ([]Endpoint, error) {
	return loadEndpoints(path, newSettings(nil))
}

func loadEndpoints(path string, s settings) ([]Endpoint, error) {
	data, err := s.readFile(path)
	if err != nil {
		return nil, err
	}
	source, raw, problems := read(path, data)
	if problems != nil {
		return nil, problems
	}
	var file endpointsFile
	v := validator{decoder: newDecoder(source, s)}
	v.structure("", raw, reflect.ValueOf(&file).Elem())
	if _, written := raw["endpoints"]; !written { // as in a file that was caught half written
		v.problem("endpoints", "is missing", "write endpoints = [...], empty if there are none")
	}
	v.endpoints("endpoints", file.Endpoints)
	v.problems.Sort()
	if err := v.problems.Err(); err != nil {
		return nil, err
	}
	return file.Endpoints, nil
}
