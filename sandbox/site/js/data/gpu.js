// z · W_enc on a GPU, where the browser has WebGPU: in float32, as sandbox measure multiplies by default.

const TILE = 64; // tokens and latents of a workgroup: 16 × 16 threads, each with 4 × 4 sums
const DEEP = 16; // numbers of each row in shared memory at a time
const BATCH = 512; // tokens at a time, at most

const SHADER = `
struct Sizes { tokens: u32, latents: u32, d: u32, first: u32, all: u32 }
@group(0) @binding(0) var<storage, read> z: array<f32>;        // tokens × d
@group(0) @binding(1) var<storage, read> encoder: array<f32>;  // latents × d, of latents from \`first\` on
@group(0) @binding(2) var<storage, read_write> acts: array<f32>; // tokens × all
@group(0) @binding(3) var<uniform> sizes: Sizes;
var<workgroup> rows: array<array<f32, ${TILE}>, ${DEEP}>;
var<workgroup> columns: array<array<f32, ${TILE}>, ${DEEP}>;

@compute @workgroup_size(16, 16)
fn encode(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) at: vec3u, @builtin(local_invocation_index) index: u32) {
  let token = group.y * ${TILE}u;
  let latent = group.x * ${TILE}u;
  var sums: array<array<f32, 4>, 4>;
  for (var k = 0u; k < sizes.d; k += ${DEEP}u) {
    for (var load = index; load < ${TILE * DEEP}u; load += 256u) {
      let row = load / ${DEEP}u;
      let i = load % ${DEEP}u;
      let inside = k + i < sizes.d;
      var u = 0.0;
      var v = 0.0;
      if (inside && token + row < sizes.tokens) { u = z[(token + row) * sizes.d + k + i]; }
      if (inside && latent + row < sizes.latents) { v = encoder[(latent + row) * sizes.d + k + i]; }
      rows[i][row] = u;
      columns[i][row] = v;
    }
    workgroupBarrier();
    for (var i = 0u; i < ${DEEP}u; i++) {
      var u: array<f32, 4>;
      var v: array<f32, 4>;
      for (var j = 0u; j < 4u; j++) {
        u[j] = rows[i][at.y * 4u + j];
        v[j] = columns[i][at.x * 4u + j];
      }
      for (var p = 0u; p < 4u; p++) { for (var q = 0u; q < 4u; q++) { sums[p][q] += u[p] * v[q]; } }
    }
    workgroupBarrier();
  }
  for (var p = 0u; p < 4u; p++) {
    for (var q = 0u; q < 4u; q++) {
      let t = token + at.y * 4u + p;
      let j = latent + at.x * 4u + q;
      if (t < sizes.tokens && j < sizes.latents) { acts[t * sizes.all + sizes.first + j] = sums[p][q]; }
    }
  }
}`;

// The browser's GPU; null without one. A software one is slower than plain code, and counts only where \`any\` is set.
export async function gpuAdapter(any = false) {
  try {
    const adapter = (await globalThis.navigator?.gpu?.requestAdapter({ powerPreference: "high-performance" })) ?? null;
    return adapter && (any || !adapter.info?.isFallbackAdapter) ? adapter : null;
  } catch {
    return null;
  }
}

// An encoder on the adapter: `encode(z, n)` resolves to the products of n ≤ `tokens` rows of z, in an array of its own.
//
// `most` is how many bytes one buffer may take. Throws if the GPU has too little memory, or fails.
export async function gpuEncoder({ d_in: d, d_sae, encoder }, adapter, most = Infinity) {
  const { maxStorageBufferBindingSize: bound, maxBufferSize: size } = adapter.limits;
  const device = await adapter.requestDevice({ requiredLimits: { maxStorageBufferBindingSize: bound, maxBufferSize: size } });
  const bytes = Math.min(bound, size, most, 2 ** 30);
  const tokens = Math.min(BATCH, Math.floor(bytes / (4 * Math.max(d_sae, d))));
  const latents = Math.floor(bytes / (4 * d)); // of one buffer
  if (tokens < 1 || latents < 1) throw new Error("the GPU's buffers are too small");
  for (const kind of ["validation", "out-of-memory"]) device.pushErrorScope(kind);
  const { STORAGE, COPY_DST, COPY_SRC, MAP_READ, UNIFORM } = GPUBufferUsage;
  const buffer = (length, usage) => device.createBuffer({ size: length, usage });
  const input = buffer(4 * tokens * d, STORAGE | COPY_DST);
  const output = buffer(4 * tokens * d_sae, STORAGE | COPY_SRC);
  const landing = buffer(4 * tokens * d_sae, MAP_READ | COPY_DST);
  const module = device.createShaderModule({ code: SHADER });
  const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint: "encode" } });
  const parts = [];
  for (let first = 0; first < d_sae; first += latents) {
    const count = Math.min(latents, d_sae - first);
    const weights = buffer(4 * count * d, STORAGE | COPY_DST);
    device.queue.writeBuffer(weights, 0, encoder, first * d, count * d);
    const sizes = buffer(32, UNIFORM | COPY_DST);
    const entries = [input, weights, output, sizes].map((one, binding) => ({ binding, resource: { buffer: one } }));
    parts.push({ first, count, sizes, group: device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }) });
  }
  for (let scope = 0; scope < 2; scope++) {
    const error = await device.popErrorScope();
    if (error) throw new Error(error.message);
  }

  async function encode(z, n) {
    device.queue.writeBuffer(input, 0, Float32Array.from(z.subarray(0, n * d)));
    const commands = device.createCommandEncoder();
    const run = commands.beginComputePass();
    run.setPipeline(pipeline);
    for (const { first, count, sizes, group } of parts) {
      device.queue.writeBuffer(sizes, 0, Uint32Array.of(n, count, d, first, d_sae));
      run.setBindGroup(0, group);
      run.dispatchWorkgroups(Math.ceil(count / TILE), Math.ceil(n / TILE));
    }
    run.end();
    commands.copyBufferToBuffer(output, 0, landing, 0, 4 * n * d_sae);
    device.queue.submit([commands.finish()]);
    await landing.mapAsync(GPUMapMode.READ, 0, 4 * n * d_sae);
    const acts = new Float32Array(landing.getMappedRange(0, 4 * n * d_sae).slice(0));
    landing.unmap();
    return acts;
  }

  const { vendor = "", architecture = "" } = adapter.info ?? {};
  return { tokens, encode, name: ["WebGPU", vendor, architecture].filter(Boolean).join(" "), end: () => device.destroy() };
}
