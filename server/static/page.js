// The bundle is served beside the page, so the page needs no other host.
"use strict";

// What the spec decides for an operation, and the line that says so, above its responses.
const explaining = (explained) => (system) => {
  const e = system.React.createElement;
  const found = new Map(explained.map((each) => [each.operation, each]));

  const row = (line, index) =>
    e("tr", { key: index },
      e("th", { scope: "row" }, line.name),
      e("td", null, line.value),
      e("td", { className: "place" }, `${line.file}:${line.line}`));

  const panel = (explanation) =>
    e("details", { className: "explained" },
      e("summary", { className: "opblock-section-header" },
        e("h4", { className: "opblock-title" }, "What the spec decides")),
      e("div", { className: "scroll" },
        e("table", null, e("tbody", null, explanation.lines.map(row)))));

  const beside = (Responses) => (props) => {
    const place = ["paths", props.path, props.method, "operationId"];
    const explanation = found.get(system.specSelectors.specJson().getIn(place));
    return e("div", null,
      explanation ? panel(explanation) : null,
      e(Responses, props));
  };

  return { wrapComponents: { responses: beside } };
};

// The workflows that stand beside the spec, below its description.
const linking = (workflows) => (system) => {
  const e = system.React.createElement;

  const entry = (workflow) =>
    e("li", { key: workflow.file },
      e("a", { href: workflow.file }, workflow.title), ": ", workflow.summary);

  const list = () =>
    e("section", { className: "workflows" },
      e("h2", null, "Workflows"),
      e("p", null, "Requests in their order and what each hands to the next, as Arazzo descriptions."),
      e("ul", null, workflows.map(entry)));

  const below = (Info) => (props) =>
    e("div", null, e(Info, props), workflows.length ? list() : null);

  return { wrapComponents: { InfoContainer: below } };
};

const show = ([explained, workflows]) => {
  window.ui = SwaggerUIBundle({
    url: "../openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayRequestDuration: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    tryItOutEnabled: true,
    validatorUrl: null,
    plugins: [explaining(explained), linking(workflows)],
  });
};

const read = (name) => fetch(name).then((reply) => reply.json());

Promise.all([read("explained.json"), read("workflows.json")]).then(show);
