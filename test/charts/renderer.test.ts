import { expect, test } from 'vitest'
import { evaluate } from '../helpers/go-template/evaluate.ts'
import { FUNCTIONS } from '../helpers/go-template/functions.ts'
import { parseTemplate } from '../helpers/go-template/parse.ts'

const values = { name: 'x', empty: '', none: {}, list: ['a', 'b'], map: { b: 2, a: 1 }, port: 443, on: true }

function render(template: string): string {
  return evaluate(
    parseTemplate(template, 'a.yaml').main,
    { Values: values },
    { name: 'a.yaml', functions: FUNCTIONS },
  )
}

// What Go's text/template and the functions of Helm give for the same templates.
test.each([
  ['a {{ .Values.name }} b', 'a x b'],
  ['a {{- .Values.name -}} b', 'axb'],
  ['{{/* a comment with }} in it */}}-', '-'],
  ['{{ if .Values.empty }}1{{ else if .Values.on }}2{{ else }}3{{ end }}', '2'],
  ['{{ with .Values.none }}1{{ else }}{{ .Values.port }}{{ end }}', '443'],
  ['{{ with .Values.map }}{{ .a }}{{ $.Values.name }}{{ end }}', '1x'],
  ['{{ range $key, $value := .Values.map }}{{ $key }}={{ $value }} {{ end }}', 'a=1 b=2 '],
  ['{{ range $index, $one := .Values.list }}{{ $index }}{{ $one }}{{ . }}{{ end }}', '0aa1bb'],
  ['{{ range .Values.none }}1{{ else }}nothing{{ end }}', 'nothing'],
  ['{{ $a := 1 }}{{ if true }}{{ $a = 2 }}{{ end }}{{ $a }}', '2'],
  ['{{ $a := 1 }}{{ if true }}{{ $a := 2 }}{{ end }}{{ $a }}', '1'],
  ['{{ .Values.empty | default "y" | quote }}', '"y"'],
  ['{{ printf "%s-%d" .Values.name (int .Values.port) }}', 'x-443'],
  ['{{ (dict "a" (dict "b" "c")).a.b }}', 'c'],
  ['{{ and .Values.on .Values.empty }}|{{ or .Values.empty .Values.name }}', '|x'],
  ['{{ if and .Values.none .Values.none.missing.deep }}1{{ else }}2{{ end }}', '2'],
  ['{{ eq .Values.name "y" "x" }} {{ ne .Values.name "x" }} {{ not .Values.none }}', 'true false true'],
  ['a:{{ toYaml .Values.map | nindent 2 }}', 'a:\n  a: 1\n  b: 2'],
  ['{{ toYaml .Values.list | indent 1 }}', ' - a\n - b'],
  ['{{ "a}}b" }}', 'a}}b'],
  ['{{ list 1 2 | has 2 }}', 'true'],
])('%s', (template, text) => {
  expect(render(template)).toBe(text)
})

test.each([
  ['{{ if .Values.on }}', 'an end is missing'],
  ['{{ end }}', 'an end too many'],
  ['{{ .Values.missing.deep }}', 'a.yaml:1: nil pointer'],
  ['\n{{ .Values.missing }}', 'a.yaml:2: there is no such value'],
  ['{{ .Values.map }}', 'use toYaml'],
  ['{{ 10000000 }}', 'use toYaml, or int64'],
  ['{{ unknown 1 }}', 'there is no function unknown'],
  ['{{ required "say it" .Values.empty }}', 'say it'],
  ['{{ fail "not so" }}', 'not so'],
  ['{{ $unknown }}', 'the variable $unknown is not defined'],
  ['{{ .Values.name', 'not closed'],
  ['{{ (1 }}', 'a parenthesis is not closed'],
])('%s is refused', (template, message) => {
  expect(() => render(template)).toThrow(message)
})
