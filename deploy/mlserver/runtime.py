"""MLServer's runtime for a SavedModel of `lsgan export`: its signatures by the V2 protocol."""

import tensorflow as tf
from mlserver import MLModel
from mlserver.codecs import Base64Codec, NumpyCodec, StringCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceResponse
from mlserver.utils import get_model_uri

_BAD_REQUEST = (ArithmeticError, TypeError, ValueError, tf.errors.InvalidArgumentError)


class Signatures(MLModel):
    """The request's parameter `signature_name` chooses one; without it, `serving_default`."""

    async def load(self) -> bool:
        self._signatures = tf.saved_model.load(await get_model_uri(self.settings)).signatures
        return True

    async def predict(self, payload):
        name = getattr(payload.parameters, "signature_name", "serving_default")
        if name not in list(self._signatures):
            raise InferenceError(f"signature_name must be one of {', '.join(self._signatures)}.")
        signature = self._signatures[name]
        _, specs = signature.structured_input_signature
        try:
            outputs = signature(**{i.name: _decode(i, specs.get(i.name)) for i in payload.inputs})
        except _BAD_REQUEST as error:
            # Of a failed check, its sentence; of other errors, their first line.
            sentence = str(error).rpartition("assertion failed: ")[2].partition("\n")[0]
            raise InferenceError(sentence) from error
        encoded = [_encode(key, value.numpy()) for key, value in outputs.items()]
        return InferenceResponse(model_name=self.name, outputs=encoded)


def _decode(tensor, spec):
    if tensor.datatype == "BYTES":
        return tf.constant(StringCodec.decode_input(tensor), tf.string)
    values = NumpyCodec.decode_input(tensor)
    scalar = spec is not None and spec.shape.rank == 0  # V2 clients send [1] for it
    return tf.constant(values.reshape(()) if scalar else values)


def _encode(name, values):
    if isinstance(values, bytes) or values.dtype == object:
        return Base64Codec.encode_output(name, [values] if isinstance(values, bytes) else [*values])
    return NumpyCodec.encode_output(name, values)
