"""The marked cube as USD for Isaac Lab: a textured mesh to look at, a box to collide with."""

import shutil
from pathlib import Path

from tasks.assets import CUBE_FOLDER
from tasks.orca.cache import cached_folder, content_hash

USD_NAME = "cube.usda"


def cube_usd() -> Path:
    """Cached USD file made from `assets/cube`; its default prim is the rigid body."""
    sources = [CUBE_FOLDER / "cube.obj", CUBE_FOLDER / "cube.png"]

    def build(folder: Path) -> None:
        shutil.copy(sources[1], folder / "cube.png")
        _write(folder / USD_NAME, *_read_obj(sources[0]))

    key = content_hash([*sources, Path(__file__)])
    return cached_folder("cube-usd", key, build) / USD_NAME


def _read_obj(path: Path) -> tuple[list, list, list]:
    """Vertices, texture coordinates and faces ((vertex, coordinate), ...) of our own OBJ."""
    rows = [line.split() for line in path.read_text().splitlines()]
    vertices = [tuple(map(float, row[1:])) for row in rows if row[0] == "v"]
    coordinates = [tuple(map(float, row[1:])) for row in rows if row[0] == "vt"]
    faces = [
        [tuple(int(number) - 1 for number in part.split("/")[:2]) for part in row[1:]]
        for row in rows
        if row[0] == "f"
    ]
    return vertices, coordinates, faces


def _write(path: Path, vertices: list, coordinates: list, faces: list) -> None:
    from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics, UsdShade

    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    root = UsdGeom.Xform.Define(stage, "/Cube")
    stage.SetDefaultPrim(root.GetPrim())
    UsdPhysics.RigidBodyAPI.Apply(root.GetPrim())

    mesh = UsdGeom.Mesh.Define(stage, "/Cube/Picture")
    mesh.CreatePointsAttr([Gf.Vec3f(*vertex) for vertex in vertices])
    mesh.CreateFaceVertexCountsAttr([len(face) for face in faces])
    mesh.CreateFaceVertexIndicesAttr([vertex for face in faces for vertex, _ in face])
    mesh.CreateSubdivisionSchemeAttr("none")
    primvar = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
        "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying
    )
    primvar.Set([Gf.Vec2f(*coordinates[place]) for face in faces for _, place in face])

    box = UsdGeom.Cube.Define(stage, "/Cube/Collision")
    box.CreateSizeAttr(2.0 * max(max(vertex) for vertex in vertices))
    box.CreatePurposeAttr("guide")
    UsdPhysics.CollisionAPI.Apply(box.GetPrim())

    material = UsdShade.Material.Define(stage, "/Cube/Print")
    shader = UsdShade.Shader.Define(stage, "/Cube/Print/Surface")
    shader.CreateIdAttr("UsdPreviewSurface")
    shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(0.6)
    reader = UsdShade.Shader.Define(stage, "/Cube/Print/Coordinates")
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
    texture = UsdShade.Shader.Define(stage, "/Cube/Print/Texture")
    texture.CreateIdAttr("UsdUVTexture")
    texture.CreateInput("file", Sdf.ValueTypeNames.Asset).Set("cube.png")
    texture.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(
        reader.ConnectableAPI(), "result"
    )
    texture.CreateOutput("rgb", Sdf.ValueTypeNames.Float3)
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(
        texture.ConnectableAPI(), "rgb"
    )
    surface = material.CreateSurfaceOutput()
    surface.ConnectToSource(shader.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
    stage.Save()
